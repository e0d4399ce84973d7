/** Everything the bot says, in both languages. Short, warm, one message at a time. */
import type { Intent, Language, Question, When } from './answers.ts'

/** A question as it is put first, and again after an answer that was not understood: differently each time. */
export type Wordings = readonly [first: string, again: string, last: string]

export interface Texts {
  /** Opens the first message; the question of consent follows. */
  readonly hello: string
  readonly questions: Readonly<Record<Question, Wordings>>
  readonly whichPlace: string
  readonly whichPlaceOf: (province: string) => string
  readonly buttons: { readonly yes: string; readonly no: string }
  readonly intents: Readonly<Record<Intent, string>>
  readonly times: Readonly<Record<When, string>>
  readonly anyModel: string
  readonly moreModels: string
  /** Opens a list. */
  readonly choose: string
  readonly noted: (facts: string) => string
  /** After an outage. */
  readonly late: string
  readonly welcomeBack: string
  readonly unreadable: string
  readonly screened: (facts: string) => string
  readonly human: string
  readonly notUnderstood: string
  readonly passedOn: string
  readonly refused: string
  readonly stopped: string
}

const id: Texts = {
  hello: 'Halo Kak, terima kasih sudah menghubungi kami!',
  questions: {
    consent: [
      'Supaya dealer terdekat bisa menghubungi Kakak, kami perlu mencatat nomor WhatsApp, lokasi, dan minat Kakak, dan hanya dipakai untuk itu. Ketik STOP kapan saja untuk berhenti. Apakah Kakak setuju?',
      'Sebelum lanjut, kami perlu izin Kakak untuk mencatat nomor WhatsApp, lokasi, dan minat Kakak supaya dealer terdekat bisa menghubungi. Balas dengan angka saja, ya:',
      'Maaf, kami belum menangkap jawabannya. Balas SETUJU untuk lanjut atau TIDAK untuk berhenti. Ingin bicara langsung dengan tim kami? Ketik CS.',
    ],
    location: [
      'Kakak tinggal di kota atau kabupaten mana? Ketik namanya (misalnya Bandung), atau kirim lokasi WhatsApp Kakak.',
      'Maaf, kami belum mengenali tempatnya. Coba ketik nama kota atau kabupatennya saja, misalnya Surabaya, Kab. Bogor, atau Jaksel. Bisa juga kirim lokasi WhatsApp Kakak.',
      'Maaf Kak, tempatnya masih belum ketemu. Ketik nama kota besar yang paling dekat, atau ketik CS supaya dibantu tim kami.',
    ],
    model: [
      'Model mana yang Kakak minati?',
      'Maaf, kami belum mengenali modelnya. Balas dengan angka saja, ya Kak:',
      'Maaf Kak, modelnya masih belum ketemu. Pilih dari daftar; kalau belum yakin, pilih «Belum tahu». Atau ketik CS supaya dibantu tim kami.',
    ],
    intent: [
      'Apa yang Kakak butuhkan saat ini?',
      'Maaf, kami belum menangkap maksudnya. Balas dengan angka saja, ya Kak:',
      'Maaf Kak, kami masih belum paham. Pilih salah satu dari daftar, atau ketik CS untuk bicara dengan tim kami.',
    ],
    when: [
      'Kira-kira kapan rencananya, Kak?',
      'Maaf, kami belum menangkap waktunya. Balas dengan angka saja, ya Kak:',
      'Maaf Kak, kami masih belum paham. Pilih salah satu dari daftar, atau ketik CS untuk bicara dengan tim kami.',
    ],
  },
  whichPlace: 'Yang mana tepatnya, Kak? Pilih dari daftar, atau ketik nama kota atau kabupatennya.',
  whichPlaceOf: (province) => `${province} itu luas, Kak. Kota atau kabupaten mana tepatnya?`,
  buttons: { yes: 'Setuju', no: 'Tidak setuju' },
  intents: { buy: 'Beli', test_ride: 'Test ride', price: 'Tanya harga / info', credit: 'Kredit / cicilan' },
  times: {
    today: 'Hari ini',
    this_week: 'Minggu ini',
    this_month: 'Bulan ini',
    next_month: 'Bulan depan',
    later: 'Nanti / belum pasti',
  },
  anyModel: 'Belum tahu',
  moreModels: 'Model lainnya…',
  choose: 'Lihat pilihan',
  noted: (facts) => `Baik, kami catat: ${facts}.`,
  late: 'Maaf, kami baru bisa membalas.',
  welcomeBack: 'Halo lagi, Kak! Kita lanjutkan, ya.',
  unreadable: 'Maaf Kak, kami belum bisa membuka foto, video, atau pesan suara di sini.',
  screened: (facts) =>
    `Terima kasih, Kak! Kami catat: ${facts}. Tim dealer terdekat akan segera menghubungi Kakak.`,
  human: 'Baik Kak, kami sambungkan dengan tim kami. Mohon ditunggu, ya.',
  notUnderstood: 'Maaf Kak, kami belum paham juga. Kami sambungkan dengan tim kami, mohon ditunggu, ya.',
  passedOn: 'Baik Kak, pesannya kami teruskan ke tim kami. Mereka akan segera menghubungi Kakak.',
  refused:
    'Baik Kak, data Kakak tidak kami teruskan ke dealer. Kalau berubah pikiran, silakan chat kami kapan saja. Terima kasih!',
  stopped: 'Baik Kak, kami berhenti mengirim pesan. Kalau butuh sesuatu, silakan chat kami kapan saja.',
}

const en: Texts = {
  hello: 'Hello, and thank you for contacting us!',
  questions: {
    consent: [
      'So that the nearest dealer can contact you, we need to note your WhatsApp number, your location and what you are interested in, and use them only for that. Type STOP at any time to end this chat. Do you agree?',
      'Before we go on, we need your permission to note your WhatsApp number, location and interest, so that the nearest dealer can contact you. Please reply with just the number:',
      'Sorry, we did not catch your answer. Reply AGREE to go on or NO to stop. Would you rather talk to our team? Type AGENT.',
    ],
    location: [
      'Which city or regency do you live in? Type its name (for example Bandung), or send your WhatsApp location.',
      'Sorry, we do not know that place. Please type just the city or regency, for example Surabaya, Kab. Bogor or South Jakarta. You can also send your WhatsApp location.',
      'Sorry, we still cannot find that place. Type the nearest large city, or type AGENT and our team will help you.',
    ],
    model: [
      'Which model are you interested in?',
      'Sorry, we do not know that model. Please reply with just the number:',
      'Sorry, we still cannot find that model. Choose one from the list, or «Not sure yet». Or type AGENT and our team will help you.',
    ],
    intent: [
      'What can we help you with?',
      'Sorry, we did not catch that. Please reply with just the number:',
      'Sorry, we still do not understand. Choose one from the list, or type AGENT to talk to our team.',
    ],
    when: [
      'When are you planning to do this?',
      'Sorry, we did not catch the time. Please reply with just the number:',
      'Sorry, we still do not understand. Choose one from the list, or type AGENT to talk to our team.',
    ],
  },
  whichPlace: 'Which one exactly? Choose from the list, or type the name of the city or regency.',
  whichPlaceOf: (province) => `${province} is large. Which city or regency exactly?`,
  buttons: { yes: 'I agree', no: 'No, thank you' },
  intents: {
    buy: 'Buy',
    test_ride: 'Test ride',
    price: 'Price / information',
    credit: 'Credit / instalments',
  },
  times: {
    today: 'Today',
    this_week: 'This week',
    this_month: 'This month',
    next_month: 'Next month',
    later: 'Later / not sure yet',
  },
  anyModel: 'Not sure yet',
  moreModels: 'More models…',
  choose: 'See the choices',
  noted: (facts) => `Noted: ${facts}.`,
  late: 'Sorry for the late reply.',
  welcomeBack: 'Welcome back! Let us go on.',
  unreadable: 'Sorry, we cannot open photos, videos or voice messages here yet.',
  screened: (facts) => `Thank you! We have noted: ${facts}. The nearest dealer will contact you soon.`,
  human: 'Of course. We are connecting you with our team; please wait a moment.',
  notUnderstood: 'Sorry, we could not understand. We are connecting you with our team; please wait a moment.',
  passedOn: 'Thank you, we have passed your message on to our team. They will contact you soon.',
  refused:
    'All right, we will not pass your details on to a dealer. If you change your mind, message us any time. Thank you!',
  stopped: 'All right, we will stop sending messages. If you need anything, message us any time.',
}

export const TEXTS: Readonly<Record<Language, Texts>> = { id, en }
