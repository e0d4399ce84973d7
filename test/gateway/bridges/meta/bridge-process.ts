/** The bridge in a process of its own, to be killed: `bridge-process.ts MQTT_PORT META_API_URL HTTP_PORT`. */
import { startBridge } from './start-bridge.ts'

const [mqttPort, apiUrl = '', httpPort] = process.argv.slice(2)
await startBridge(Number(mqttPort), apiUrl, { httpPort: Number(httpPort) })
console.info('ready')
