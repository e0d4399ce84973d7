/**
 * The words and phrases that customers use, Bahasa Indonesia and English, as `plain` gives them (lower case, no
 * accents or punctuation). A phrase counts wherever it stands as whole words, unless its table says otherwise.
 */
import type { Intent, When } from './answers.ts'

const list = (phrases: string): readonly string[] => phrases.split(',').map((phrase) => phrase.trim())
const set = (phrases: string): ReadonlySet<string> => new Set(list(phrases))

/** They go with any answer and change nothing. */
export const FILLERS =
  set(`kak, kakak, min, admin, gan, bang, bro, sis, mas, mbak, pak, bu, bapak, ibu, ya, yah, dong,
  deh, nih, sih, aja, saja, lah, kok, kan, saya, aku, i, it, is, fine, please, thanks, thank, you, terima, kasih, makasih,
  tolong, silakan, silahkan, tentu, sangat, banget, dulu`)

/** With fillers, the whole of a last word that needs no answer. */
export const COURTESIES =
  set(`ok, oke, okay, okey, iya, yes, sip, siap, baik, good, great, noted, thx, tq, makasi, sama,
  ditunggu, nuhun, suwun`)

/** Only as the whole message. */
export const STOP =
  list(`stop, berhenti, unsubscribe, jangan chat lagi, jangan hubungi lagi, jangan hubungi saya,
  jangan hubungi saya lagi, jangan ganggu, berhenti chat, stop chat, stop messaging me, leave me alone`)
/** Only as the whole message. */
export const RESTART =
  list(`ulang, ulangi, ulang dari awal, mulai ulang, mulai lagi, mulai dari awal, dari awal, restart,
  reset, start over, start again, begin again`)
export const HUMAN = list(
  `manusia, cs, customer service, customer care, human, agent, operator, real person, live chat`,
)
/** Only when somebody is to be spoken with: «2 orang» and «halo admin» ask for nobody. */
export const SOMEBODY = list(`orang, admin, sales, staf, staff, person, someone, somebody, people`)
export const SPEAK =
  list(`bicara, berbicara, ngobrol, ngomong, chat, telepon, telpon, telp, hubungi, sambungkan, hubungkan,
  talk, speak, call, connect`)

/** Consent: only as the whole message, with fillers. */
export const YES =
  set(`ya, iya, iyah, y, yes, yep, yup, yeah, ok, oke, okay, okey, setuju, boleh, bole, lanjut, siap, sip,
  bisa, sure, agree, agreed, ijin, izin, gpp, bersedia, mau`)
export const AGREED = list(`setuju, i agree`)
/** Consent, although a no is in it. */
export const REASSURED =
  list(`no problem, tidak apa apa, gak apa apa, ga apa apa, nggak apa apa, tidak masalah,
  gak masalah, ga masalah`)
export const NO =
  set(`tidak, tdk, tak, gak, ga, gk, nggak, ngga, enggak, engga, ndak, no, nope, not, dont, jangan, kurang,
  tolak, menolak, keberatan`)

/** Of several the first: the most telling. */
export const INTENT_PHRASES: readonly (readonly [Intent, readonly string[]])[] = [
  [
    'test_ride',
    list(`test ride, testride, tes ride, test drive, tes drive, test naik, coba naik, coba motor, coba motornya, mau coba,
      ingin coba, pengen coba, mau nyoba, nyoba, dicoba, mencoba, uji coba, try it, try one, try the`),
  ],
  [
    'credit',
    list(`kredit, cicil, cicilan, cicilannya, nyicil, mencicil, dicicil, angsuran, angsurannya, leasing, dp, dpnya,
      uang muka, tenor, credit, installment, installments, instalment, instalments, finance, financing, loan, down payment`),
  ],
  [
    'buy',
    list(`beli, membeli, dibeli, pembelian, pesan, memesan, order, booking, indent, inden, tunai, cash, buy, buying,
      purchase, book one`),
  ],
  [
    'price',
    list(`harga, harganya, berapa, berapaan, brosur, info, infonya, informasi, tanya, nanya, bertanya, tanyakan, pricelist,
      price list, promo, promonya, diskon, spek, spesifikasi, lihat lihat, price, prices, cost, costs, how much, brochure,
      information, details, ask, specs`),
  ],
]
/** «belum mau beli, tanya dulu» */
export const NOT_BUYING =
  /\b(tidak|tdk|gak|ga|nggak|belum|blm|bukan|not|dont|wont)( \w+)? (mau |ingin |to )?(beli|membeli|buy|buying)\b/

/** Of several the first. */
export const TIME_PHRASES: readonly (readonly [When, readonly string[]])[] = [
  ['next_month', list(`bulan depan, bln depan, sebulan lagi, 1 bulan lagi, next month, in a month`)],
  [
    'later',
    list(`tahun depan, thn depan, kapan kapan, masih lama, beberapa bulan, 2 bulan, 3 bulan, dua bulan, tiga bulan, 6 bulan,
      belum tahu, belum tau, blm tau, blm tahu, belum pasti, blm pasti, belum ada rencana, tidak tahu, gak tau, ga tau,
      nanti, nunggu, next year, not sure, dont know, no idea, someday, later, in a few months`),
  ],
  [
    'this_month',
    list(`bulan ini, bln ini, akhir bulan, minggu depan, pekan depan, seminggu lagi, dua minggu, 2 minggu, this month,
      next week, two weeks, end of the month`),
  ],
  [
    'this_week',
    list(`minggu ini, pekan ini, besok, bsk, lusa, akhir pekan, weekend, this week, tomorrow, few days, beberapa hari,
      segera, soon, secepatnya, asap`),
  ],
  [
    'today',
    list(`hari ini, sekarang, skrg, skrng, langsung, malam ini, sore ini, siang ini, today, now, right now, tonight,
      immediately`),
  ],
]
/** Times that count although something else was asked, when a wish stands beside them: surely about that wish. */
export const TIMES_IN_PASSING =
  set(`bulan depan, bln depan, bulan ini, bln ini, minggu ini, minggu depan, hari ini, besok,
  next month, this month, this week, next week, today, tomorrow, tahun depan, next year`)

/** To «which model?»: no matter, or not known yet. */
export const ANY_MODEL =
  list(`belum tahu, belum tau, blm tahu, blm tau, tidak tahu, gak tau, ga tau, nggak tau, apa saja,
  apa aja, terserah, bebas, bingung, belum ada, mana saja, yang mana aja, not sure, any, anything, dont know,
  no preference, no idea, undecided, whatever`)
/** In the names of many models, and in many a text that names none. */
export const NO_MODEL_NAMES =
  set(`motor, motors, listrik, electric, bike, scooter, skuter, sepeda, baru, plus, mini, type,
  tipe, seri, series, model, standard, standar, long, short, range`)

export const INDONESIAN =
  set(`saya, aku, gue, gw, mau, ingin, pengen, minat, berminat, tertarik, beli, kak, kakak, min, gan,
  mas, mbak, pak, bu, halo, hai, selamat, pagi, siang, sore, malam, apa, apakah, berapa, harga, harganya, ada, di, ini, itu,
  yang, yg, dan, untuk, utk, bisa, boleh, tolong, bagaimana, gimana, kapan, dimana, mana, ya, iya, tidak, gak, ga, nggak,
  enggak, belum, sudah, udah, minggu, bulan, hari, depan, nanti, besok, kredit, cicilan, terima, kasih, makasih, setuju,
  lokasi, dengan, dari, ke, lagi, dong, nih, sih, aja, saja, cari, tanya, sekarang, dekat, rumah, kota, kami, kita, orang`)
export const ENGLISH =
  set(`hello, i, im, want, would, like, the, is, are, am, you, your, we, please, yes, today, tomorrow,
  week, month, next, this, later, buy, buying, how, much, what, where, when, which, can, could, have, has, looking, for,
  need, interested, good, morning, afternoon, evening, thanks, thank, my, me, to, near, from, sure, agree, a, an, of, about,
  not, know, and, it, do, does`)
