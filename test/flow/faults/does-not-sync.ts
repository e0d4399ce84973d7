/** A control that must fail: a hub that commits without waiting for the disk. */
import { DatabaseSync } from 'node:sqlite'

const exec = DatabaseSync.prototype.exec
DatabaseSync.prototype.exec = function (statements) {
  exec.call(this, statements.replace('synchronous = FULL', 'synchronous = OFF'))
}
