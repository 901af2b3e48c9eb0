/** A NestJS application without a leader election, for comparison. It prints `ready` when it listens. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { say } from './contender-arguments.js';

@Module({})
class BareModule {}

const app = await NestFactory.create(BareModule, { logger: ['error', 'fatal'] });
app.enableShutdownHooks();
await app.listen(0, '127.0.0.1');
say('ready');
