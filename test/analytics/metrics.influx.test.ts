import { afterAll, beforeAll, describe } from 'vitest'
import { openInfluxMetrics } from '../../analytics/influx.ts'
import { testMetrics } from '../contracts/metrics.ts'
import { type InfluxServer, startInflux } from '../support/services.ts'

describe('the metrics on InfluxDB 1.x', () => {
  let influx: InfluxServer
  beforeAll(async () => {
    influx = await startInflux()
  })
  afterAll(() => influx?.stop())
  testMetrics(async (bucket, timezone) =>
    openInfluxMetrics({ url: influx.url, token: null, org: null, bucket, timezone }),
  )
})
