/** What reps read, in their language; and what customers hear of the race. Bodies fit WhatsApp's limits. */
import { MESSAGE_LIMITS, type MessageContent } from '../contract/bridge.ts'
import type { TapRefusal } from '../contract/leads.ts'
import type { Language } from '../documents.ts'
import { isLeadId, type LeadDoc, type PersonDoc } from '../race-documents.ts'
import { TEXTS } from '../screening/texts.ts'

/** Names of the templates to be registered with WhatsApp; `docs/whatsapp.md` has their texts. */
export const TEMPLATES = { offer: 'lead_offer', screening: 'lead_screening' } as const

export const ACTIONS = ['contacted', 'demo', 'won', 'lost'] as const
export type Outcome = (typeof ACTIONS)[number]

/** Ids of buttons; what a tap brings back. */
export const claimChoice = (lead: string, round: number): string => `claim:${lead}:${round}`
export const outcomeChoice = (outcome: Outcome, lead: string): string => `${outcome}:${lead}`

export const isOutcome = (word: string): word is Outcome => (ACTIONS as readonly string[]).includes(word)

/** What such an id means; null: it is none of the race. */
export function readChoice(id: string): { readonly kind: 'claim' | Outcome; readonly lead: string } | null {
  const [verb = '', lead = ''] = id.split(':')
  return isLeadId(lead) && (verb === 'claim' || isOutcome(verb)) ? { kind: verb, lead } : null
}

const text = (body: string): MessageContent => ({ kind: 'text', body: cut(body, MESSAGE_LIMITS.textBody) })
const cut = (body: string, max: number): string => (body.length > max ? `${body.slice(0, max - 1)}…` : body)
/** The screening's word for an answer. */
const wordFor = (words: Readonly<Record<string, string>>, answer: string): string => words[answer] ?? answer
const clip = (value: string | null, max: number): string | null => (value === null ? null : cut(value, max))

const WORDS = {
  id: {
    newLead: 'Lead baru',
    model: 'Model',
    distance: 'Jarak',
    age: 'Usia',
    area: 'Area',
    claim: 'Ambil',
    justNow: 'baru saja',
    minutes: (n: number) => `${n} menit`,
    hours: (n: number) => `${n} jam`,
    anyModel: 'belum dipilih',
    won: 'Lead ini milikmu!',
    name: 'Nama',
    phone: 'Telepon',
    email: 'E-mail',
    intent: 'Minat',
    when: 'Kapan',
    message: 'Pesan',
    noPhone: 'hanya lewat WhatsApp (tanpa nomor)',
    callSoon: (n: number) => `Hubungi dalam ${n} menit, lalu pilih hasilnya.`,
    results: 'Hasil',
    outcomes: { contacted: 'Sudah dihubungi', demo: 'Demo dijadwalkan', won: 'Terjual', lost: 'Tidak jadi' },
  },
  en: {
    newLead: 'New lead',
    model: 'Model',
    distance: 'Distance',
    age: 'Age',
    area: 'Area',
    claim: 'Claim',
    justNow: 'just now',
    minutes: (n: number) => `${n} min`,
    hours: (n: number) => `${n} h`,
    anyModel: 'not chosen yet',
    won: 'This lead is yours!',
    name: 'Name',
    phone: 'Phone',
    email: 'E-mail',
    intent: 'Wants',
    when: 'When',
    message: 'Message',
    noPhone: 'on WhatsApp only (no number)',
    callSoon: (n: number) => `Contact them within ${n} minutes, then choose the outcome.`,
    results: 'Outcome',
    outcomes: { contacted: 'Contacted', demo: 'Demo scheduled', won: 'Sold', lost: 'Lost' },
  },
} as const

/** Area, model, distance, age of the lead: no name, no number before it is won. */
export function offerContent(
  lead: LeadDoc,
  language: Language,
  distanceKm: number,
  nowMs: number,
): { buttons: MessageContent; template: MessageContent } {
  const words = WORDS[language]
  const model = clip(lead.model, 64) ?? words.anyModel
  const area = cut(lead.place.area, 64)
  const distance = `${distanceKm.toFixed(1)} km`
  const age = ageOf(lead, language, nowMs)
  const id = claimChoice(lead.lead, lead.round)
  return {
    buttons: {
      kind: 'buttons',
      body: [
        `${words.newLead} ${lead.lead}`,
        `${words.area}: ${area}`,
        `${words.model}: ${model}`,
        `${words.distance}: ${distance}`,
        `${words.age}: ${age}`,
      ].join('\n'),
      choices: [{ id, title: words.claim }],
    },
    template: {
      kind: 'template',
      template: {
        name: TEMPLATES.offer,
        language,
        parameters: [area, model, distance, age],
        payloads: [id],
      },
    },
  }
}

function ageOf(lead: LeadDoc, language: Language, nowMs: number): string {
  const minutes = Math.floor((nowMs - Date.parse(lead.created_at)) / 60_000)
  const words = WORDS[language]
  if (minutes < 1) return words.justNow
  return minutes < 60 ? words.minutes(minutes) : words.hours(Math.floor(minutes / 60))
}

/** The full customer context, and what to tell the hub afterwards. */
export function winnerContent(
  lead: LeadDoc,
  person: PersonDoc | null,
  language: Language,
  contactSlaMs: number,
): MessageContent {
  const words = WORDS[language]
  const phone = person?.phone ?? null
  const said = person?.conversation?.answers.message ?? person?.message ?? null
  const lines: (string | null)[] = [
    `${words.won} ${lead.lead}`,
    `${words.name}: ${clip(person?.name ?? null, 100) ?? '–'}`,
    phone === null
      ? `${words.phone}: ${words.noPhone}`
      : `${words.phone}: ${phone} (https://wa.me/${phone.slice(1)})`,
    person?.email ? `${words.email}: ${person.email}` : null,
    `${words.area}: ${cut(lead.place.area, 64)}`,
    `${words.model}: ${clip(lead.model, 64) ?? words.anyModel}`,
    lead.intent === null ? null : `${words.intent}: ${wordFor(TEXTS[language].intents, lead.intent)}`,
    lead.when === null ? null : `${words.when}: ${wordFor(TEXTS[language].times, lead.when)}`,
    said === null ? null : `${words.message}: ${cut(said, 300)}`,
    words.callSoon(Math.round(contactSlaMs / 60_000)),
  ]
  return {
    kind: 'list',
    body: cut(lines.filter((line) => line !== null).join('\n'), MESSAGE_LIMITS.interactiveBody),
    button: words.results,
    choices: ACTIONS.map((outcome) => ({
      id: outcomeChoice(outcome, lead.lead),
      title: words.outcomes[outcome],
    })),
  }
}

/** What a loser hears, once both instants are known. @param marginMs between two commits, by one clock */
export function tooSlowContent(winner: string, marginMs: number, language: Language): MessageContent {
  const seconds = (Math.max(0, marginMs) / 1000).toFixed(1)
  return text(
    language === 'id'
      ? `❌ Too slow! ${winner} lebih cepat ${seconds} detik.`
      : `❌ Too slow! ${winner} was ${seconds} seconds faster.`,
  )
}

const REFUSALS: Record<Language, Record<TapRefusal, (lead: string) => string>> = {
  id: {
    unknown_lead: (lead) => `Lead ${lead} tidak dikenal.`,
    not_invited: (lead) => `Lead ${lead} tidak ditawarkan kepadamu.`,
    withdrawn: (lead) => `Lead ${lead} sudah diteruskan ke dealer lain.`,
    expired: (lead) => `Lead ${lead} sudah kedaluwarsa dan ditangani kantor pusat.`,
    finished: (lead) => `Lead ${lead} sudah selesai.`,
    not_yours: (lead) => `Lead ${lead} sedang ditangani rekan lain.`,
  },
  en: {
    unknown_lead: (lead) => `There is no lead ${lead}.`,
    not_invited: (lead) => `Lead ${lead} was not offered to you.`,
    withdrawn: (lead) => `Lead ${lead} was passed on to other dealers.`,
    expired: (lead) => `Lead ${lead} has expired; the head office takes care of it.`,
    finished: (lead) => `Lead ${lead} is finished.`,
    not_yours: (lead) => `Lead ${lead} is somebody else's.`,
  },
}

export const refusalContent = (reason: TapRefusal, lead: string, language: Language): MessageContent =>
  text(REFUSALS[language][reason](lead))

export const repText = {
  outcome(outcome: Outcome, lead: string, language: Language): MessageContent {
    const label = WORDS[language].outcomes[outcome]
    return text(language === 'id' ? `${lead}: dicatat, ${label}.` : `${lead}: noted, ${label}.`)
  },
  /** The hub has a later step already. */
  outcomeStands(state: string, lead: string, language: Language): MessageContent {
    return text(language === 'id' ? `${lead} sudah berstatus ${state}.` : `${lead} is ${state} already.`)
  },
  released(lead: string, language: Language): MessageContent {
    return text(
      language === 'id'
        ? `Lead ${lead} belum dihubungi tepat waktu dan diteruskan ke dealer lain.`
        : `Lead ${lead} was not contacted in time and is passed on to other dealers.`,
    )
  },
  checkedIn(name: string, language: Language): MessageContent {
    return text(
      language === 'id'
        ? `Selamat bekerja, ${name}! Kamu akan menerima lead.`
        : `Welcome, ${name}! You will get leads now.`,
    )
  },
  checkedOut(name: string, language: Language): MessageContent {
    return text(
      language === 'id'
        ? `Sampai jumpa, ${name}. Kamu tidak menerima lead lagi.`
        : `See you, ${name}. You get no more leads.`,
    )
  },
  help(language: Language): MessageContent {
    return text(
      language === 'id'
        ? 'Ketik MASUK untuk mulai menerima lead, PULANG untuk berhenti, AMBIL dan nomor lead untuk mengambilnya, atau tekan tombol pada tawaran.'
        : 'Write IN to get leads, OUT to stop, CLAIM and a lead’s number to claim it, or tap the button of an offer.',
    )
  },
}

/** To somebody who left a number in a form but not where they are: outside the 24 hours only a template may be sent. */
export const screeningTemplate = (name: string | null, language: Language): MessageContent => ({
  kind: 'template',
  template: { name: TEMPLATES.screening, language, parameters: [clip(name, 60) ?? 'Kak'] },
})

export const customerText = {
  /** After the race is won. */
  repWillCall(rep: string, dealer: string, language: Language): MessageContent {
    return text(
      language === 'id'
        ? `${rep} dari ${dealer} akan segera menghubungi Kakak. Terima kasih!`
        : `${rep} of ${dealer} will contact you soon. Thank you!`,
    )
  },
  headOfficeWillCall(language: Language): MessageContent {
    return text(
      language === 'id'
        ? 'Mohon maaf, dealer terdekat sedang sibuk. Tim kantor pusat kami akan menghubungi Kakak.'
        : 'We are sorry, the dealers near you are busy. Our head office will contact you.',
    )
  },
  /** To somebody who tapped or wrote what only reps may. */
  notForYou(language: Language): MessageContent {
    return text(
      language === 'id'
        ? 'Tombol ini hanya untuk sales dealer. Ada yang bisa kami bantu?'
        : 'This button is for dealers’ sales reps only. Can we help you?',
    )
  },
}
