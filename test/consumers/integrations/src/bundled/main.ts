/** A follower that answers messages and sockets, to be bundled with all its packages: `node bundle.cjs PORT`. */
import 'reflect-metadata';
import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, Transport, type MicroserviceOptions } from '@nestjs/microservices';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { OnlyWhenLeader } from 'nestjs-leader';
import { LeaderElectionTestingModule } from 'nestjs-leader/testing';

@Controller()
class Ledger {
  @Get('route')
  @MessagePattern('message')
  @OnlyWhenLeader()
  async both(): Promise<string> {
    return 'done';
  }
}

@WebSocketGateway()
@Injectable()
class Gateway {
  @SubscribeMessage('message')
  @OnlyWhenLeader()
  async message(): Promise<string> {
    return 'done';
  }
}

@Module({
  imports: [LeaderElectionTestingModule.forRoot()],
  controllers: [Ledger],
  providers: [Gateway],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error'] });
  app.enableShutdownHooks();
  const options = { host: '127.0.0.1', port: Number(process.argv[2]) };
  app.connectMicroservice<MicroserviceOptions>({ transport: Transport.TCP, options });
  await app.startAllMicroservices();
  await app.listen(0, '127.0.0.1');
  process.stdout.write(`listening ${await app.getUrl()}\n`);
}

void main();
