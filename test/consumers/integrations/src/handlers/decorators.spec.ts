/** The gate above and below every other decorator: what they leave on a method survives, and does its work. */
import {
  Body,
  Controller,
  Header,
  HttpCode,
  Injectable,
  ParseIntPipe,
  Post,
  Query,
  SetMetadata,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  applyDecorators,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { Reflector, BaseExceptionFilter } from '@nestjs/core';
import { ApiOkResponse, ApiOperation, ApiProperty, DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { OnlyWhenLeader } from 'nestjs-leader';
import { map, type Observable } from 'rxjs';
import { expect, it } from 'vitest';
import { listening } from './application.js';

const Roles = Reflector.createDecorator<string[]>();
const calls: string[] = [];

@Injectable()
class RolesGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}
  canActivate(context: ExecutionContext): boolean {
    calls.push('guard');
    const { role } = context.switchToHttp().getRequest<{ query: { role?: string } }>().query;
    return this.reflector.get(Roles, context.getHandler()).includes(role ?? '');
  }
}

@Injectable()
class Wrap implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    calls.push(`interceptor of ${context.getHandler().name}`);
    return next.handle().pipe(map((value) => ({ wrapped: value })));
  }
}

class Upper implements PipeTransform {
  transform(value: unknown): unknown {
    calls.push('pipe');
    return typeof value === 'object' && value !== null ? { ...value, seen: true } : value;
  }
}

class Receipt {
  @ApiProperty()
  amount!: number;
}

const Everything = (): MethodDecorator =>
  applyDecorators(
    HttpCode(202),
    Header('x-own', 'kept'),
    Roles(['clerk']),
    SetMetadata('own', 'kept'),
    UseGuards(RolesGuard),
    UseInterceptors(Wrap),
    UsePipes(new Upper()),
    UseFilters(BaseExceptionFilter),
    ApiOperation({ summary: 'Pays' }),
    ApiOkResponse({ type: Receipt }),
  );

@Controller()
class Payments {
  @Post('above')
  @Everything()
  @OnlyWhenLeader()
  above(@Body() body: object, @Query('amount', ParseIntPipe) amount: number): object {
    return { body, amount };
  }

  @OnlyWhenLeader()
  @Post('below')
  @Everything()
  below(@Body() body: object, @Query('amount', ParseIntPipe) amount: number): object {
    return { body, amount };
  }

  @Everything()
  @OnlyWhenLeader()
  @Post('between')
  between(@Body() body: object, @Query('amount', ParseIntPipe) amount: number): object {
    return { body, amount };
  }

  @applyDecorators(Post('inside'), Everything(), OnlyWhenLeader())
  inside(@Body() body: object, @Query('amount', ParseIntPipe) amount: number): object {
    return { body, amount };
  }
}

const paths = ['above', 'below', 'between', 'inside'] as const;

it.each(paths)('guards, interceptors, pipes, filters and headers do their work: %s', async (path) => {
  const { url, elector } = await listening({ controllers: [Payments] });
  const pay = (query: string): Promise<Response> =>
    fetch(`${url}/${path}?${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"to":"me"}',
    });
  calls.length = 0;
  const refused = await pay('role=clerk&amount=5');
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
  expect(calls).toEqual(['guard', `interceptor of ${path}`, 'pipe', 'pipe']);
  elector.grant();
  const paid = await pay('role=clerk&amount=5');
  expect([paid.status, paid.headers.get('x-own'), await paid.json()]).toEqual([
    202,
    'kept',
    { wrapped: { body: { to: 'me', seen: true }, amount: 5 } },
  ]);
  expect((await pay('role=guest&amount=5')).status).toBe(403);
  expect((await pay('role=clerk&amount=five')).status).toBe(400);
});

it('the description for swagger is the same as without the gate', async () => {
  const { app } = await listening({ controllers: [Payments] });
  const document = SwaggerModule.createDocument(app, new DocumentBuilder().build());
  for (const path of paths) {
    expect(document.paths[`/${path}`]?.post).toMatchObject({
      summary: 'Pays',
      operationId: `Payments_${path}`,
      parameters: [{ name: 'amount', in: 'query' }],
      responses: {
        200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Receipt' } } } },
      },
    });
  }
});

it.each(paths)('metadata, name and arity of the method stay: %s', (path) => {
  const method = Payments.prototype[path];
  expect([Reflect.getMetadata('own', method), method.name, method.length]).toEqual(['kept', path, 2]);
});

it('two applications in one process: a route says once when to come again', async () => {
  await listening({ controllers: [Payments] });
  await listening({ controllers: [Payments] });
  for (const path of paths) {
    expect(Reflect.getMetadata('__interceptors__', Payments.prototype[path])).toHaveLength(2);
  }
});
