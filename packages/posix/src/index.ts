export { findAccount, findGroup, isAccountName } from './accounts.ts';
export type { Account } from './accounts.ts';
export { adoptProcess } from './adopt.ts';
export type { AdoptedProcess, AdoptOptions, ProcessIdentity } from './adopt.ts';
export { openCommandLine } from './command-line.ts';
export type { CommandLine } from './command-line.ts';
export { keepAtExec, openPipe, placeDescriptors } from './descriptors.ts';
export { enterDirectory, enterOpenDirectory } from './directory.ts';
export { errnoOf, hasCode, systemError } from './errno.ts';
export { exitAtOnce, prepareExec } from './exec.ts';
export { fileIdentity, identityOf } from './file-identity.ts';
export { ensureFifo, mkfifo, takeFifo } from './fifo.ts';
export { findHolder } from './holders.ts';
export type { HolderSearch } from './holders.ts';
export { argumentBytes, inheritedVariables, readInherited } from './inherited.ts';
export type { Inherited } from './inherited.ts';
export { readLimit, writeLimit } from './limits.ts';
export type { Limit, Resource } from './limits.ts';
export { openLineOutput } from './line-output.ts';
export type { LineOutput, LineOutputOptions } from './line-output.ts';
export { localTime } from './local-time.ts';
export type { LocalTime } from './local-time.ts';
export { tryLock, waitForLock } from './lock.ts';
export { ancestorPids, findOrphan } from './orphans.ts';
export type { OrphanSearch } from './orphans.ts';
export {
  acceptForPackets,
  connectForPackets,
  listenForPackets,
  PACKET_MAX,
  receivePacket,
  sendPacket,
} from './packets.ts';
export type { Packet } from './packets.ts';
export { growPipe, openPipeReader, pipeSize } from './pipe-content.ts';
export type { PipeReader } from './pipe-content.ts';
export { peerGroups, peerOf } from './peer.ts';
export type { Peer } from './peer.ts';
export { parsePreparation, preparationWords } from './preparation.ts';
export type { Preparation, ProcessAccount } from './preparation.ts';
export { raisePriority } from './priority.ts';
export { setProcessName } from './process-name.ts';
export { bootTicks, readProcess } from './process-table.ts';
export type { ProcessEntry } from './process-table.ts';
export { openProcesses, waitForEnd } from './processes.ts';
export type { ProcessEnd, Processes } from './processes.ts';
export { openReadiness } from './readiness.ts';
export type { Readiness } from './readiness.ts';
export { startSession } from './session.ts';
export { shortSocketPath } from './socket-address.ts';
export type { SocketPath } from './socket-address.ts';
export { blockSignals, defaultSignal, ignoreSignal, signalBit, signalsIn } from './signals.ts';
export { spawn } from './spawn.ts';
export type { SpawnRequest, StartConditions } from './spawn.ts';
export { isSubreaper, setSubreaper } from './subreaper.ts';
export { isHungUp, isReady, waitUntil } from './wait.ts';
export { isListening, listenAt } from './unix-socket.ts';
export { wallClockNs } from './wall-clock.ts';
