/** The log: on stderr, since stdout is for data. Colours for people, JSON lines for everything else. */
import pino, { type Logger } from 'pino'
import pretty from 'pino-pretty'
import type { LogLevel } from '../config.ts'

export const openLog = (level: LogLevel): Logger =>
  pino(
    { level },
    process.stderr.isTTY
      ? pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' })
      : pino.destination(2),
  )

/** The same as JSON lines in a file, for a command whose terminal shows something else. */
export const openLogFile = (level: LogLevel, path: string): Logger =>
  pino({ level }, pino.destination({ dest: path, mkdir: true }))
