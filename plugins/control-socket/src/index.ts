export { controlSocket, SOCKET_NAME } from './control-socket.ts';
export type { ControlSocketOptions } from './control-socket.ts';
export { answerSchemas, commandRequestSchema, eventSchemas } from './schema.ts';
export type {
  AboutService,
  ApiVersion,
  CommandRequest,
  CommandWord,
  ErrorAnswer,
  ErrorCode,
  EventData,
  Exit,
  KernelAnswer,
  MessageData,
  PluginsAnswer,
  Service,
  ServiceAnswer,
  ServiceDetails,
  ServiceDetailsAnswer,
  ServicesAnswer,
  ServiceState,
  ShownHook,
  ShownPlugin,
  WaitedState,
} from './schema.ts';
