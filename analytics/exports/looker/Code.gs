/**
 * Looker Studio community connector for Dealer Hub (Google Apps Script, runtime V8). It asks a hub for a table of the unit
 * economics, `GET /api/v1/exports/table`, with an analyst's token, and hands over the fields that a chart wants.
 *
 * How to deploy it: docs/exports.md. `urlFetchWhitelist` in appsscript.json names the one address that the token is ever
 * sent to: put your hub's there.
 */
// biome-ignore-all lint/correctness/noUnusedVariables: Looker Studio calls the functions by their names
const connector = DataStudioApp.createCommunityConnector()

/** Where a user's token is kept: with that user, not with the report. */
const TOKEN = 'dscc.key'

// — authorization: an API token of the hub, role analyst —

function getAuthType() {
  return connector.newAuthTypeResponse().setAuthType(connector.AuthType.KEY).build()
}

/** Looker Studio asks for the token before it asks for the hub: whether the hub takes it shows with the first field. */
function setCredentials(request) {
  const token = String(request.key || '').trim()
  if (!/^[A-Za-z0-9_-]{43}$/.test(token)) return { errorCode: 'INVALID_CREDENTIALS' }
  PropertiesService.getUserProperties().setProperty(TOKEN, token)
  return { errorCode: 'NONE' }
}

function isAuthValid() {
  return PropertiesService.getUserProperties().getProperty(TOKEN) !== null
}

function resetAuth() {
  PropertiesService.getUserProperties().deleteProperty(TOKEN)
}

function isAdminUser() {
  return false
}

// — configuration —

function getConfig() {
  const config = connector.getConfig()
  config
    .newInfo()
    .setId('about')
    .setText(
      'Figures are by business day of the hub. Days that were corrected since then are corrected here too.',
    )
  config
    .newTextInput()
    .setId('url')
    .setName('Address of the hub')
    .setHelpText('As in the browser, beginning with https://')
    .setPlaceholder('https://hub.example.com')
  config.setDateRangeRequired(true)
  return config.build()
}

// — data —

function getSchema(request) {
  return { schema: columnsOf(request).map(fieldOf) }
}

/** Only what is asked for, in that order; filters are left to Looker Studio. */
function getData(request) {
  const columns = columnsOf(request)
  const asked = request.fields.map(({ name }) => {
    const column = columns.find((candidate) => candidate.name === name)
    if (column === undefined)
      fail(`The hub has no field ${name} any more: refresh the fields of this data source.`)
    return column
  })
  const namesOf = (list) => list.map(({ name }) => name).join(',')
  const { rows } = ask(request, '/api/v1/exports/table', {
    from: request.dateRange.startDate,
    to: request.dateRange.endDate,
    by: namesOf(asked.filter(({ concept }) => concept === 'dimension')),
    fields: namesOf(asked),
  })
  return {
    schema: asked.map(fieldOf),
    rows: rows.map((row) => ({ values: row.map((cell, i) => cellOf(asked[i], cell)) })),
    filtersApplied: false,
  }
}

function columnsOf(request) {
  return ask(request, '/api/v1/exports/columns', {}).columns
}

function fieldOf({ name, label, type, unit, concept, adds }) {
  const isMetric = concept === 'metric'
  const field = {
    name,
    label: isMetric && unit !== null && type !== 'money' ? `${label} (${unit})` : label,
    dataType: isMetric ? 'NUMBER' : 'STRING',
    semantics: { conceptType: isMetric ? 'METRIC' : 'DIMENSION', semanticType: semanticTypeOf(type, unit) },
  }
  if (isMetric) {
    // No sum is taken of a ratio: the hub makes it for the groups that are asked for.
    field.semantics.isReaggregatable = adds
    if (adds) field.defaultAggregationType = 'SUM'
  }
  return field
}

function semanticTypeOf(type, unit) {
  if (type === 'day') return 'YEAR_MONTH_DAY'
  if (type === 'month') return 'YEAR_MONTH'
  if (type === 'text') return 'TEXT'
  return type === 'money' && /^[A-Z]{3}$/.test(unit) ? `CURRENCY_${unit}` : 'NUMBER'
}

/** Looker Studio writes a day as YYYYMMDD, a month as YYYYMM. */
function cellOf({ type }, cell) {
  return type === 'day' || type === 'month' ? String(cell).replace(/-/g, '') : cell
}

// — the hub —

function ask(request, path, parameters) {
  const url = String(request.configParams?.url || '')
    .trim()
    .replace(/\/+$/, '')
  if (!/^https:\/\/[^/?#\s]+/.test(url)) fail('The address of the hub should begin with https://')
  const query = Object.keys(parameters).map((name) => `${name}=${encodeURIComponent(parameters[name])}`)
  const response = UrlFetchApp.fetch(url + path + (query.length === 0 ? '' : `?${query.join('&')}`), {
    headers: {
      Authorization: `Bearer ${PropertiesService.getUserProperties().getProperty(TOKEN)}`,
      Accept: 'application/json',
    },
    followRedirects: false,
    muteHttpExceptions: true,
  })
  const status = response.getResponseCode()
  const body = response.getContentText()
  if (status === 200) return JSON.parse(body)
  if (status === 401)
    fail('The hub does not take this token: revoke access to this connector and enter another.', body)
  fail(`The hub answered ${status}: ${explain(body)}`, body)
}

/** A problem document in one line. */
function explain(body) {
  try {
    const { detail, errors = [] } = JSON.parse(body)
    const parts = errors.map(
      ({ field, expected, received }) => `${field}: expected ${expected}, received ${received}`,
    )
    return [detail].concat(parts).join('; ')
  } catch (_) {
    return 'is this the address of a hub?'
  }
}

function fail(text, debugText) {
  connector
    .newUserError()
    .setText(text)
    .setDebugText(debugText || text)
    .throwException()
}
