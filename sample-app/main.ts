import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { settings } from './settings.js';

const app = await NestFactory.create(AppModule);
app.enableShutdownHooks();
await app.listen(settings().port, process.env['HOST'] ?? '0.0.0.0');
