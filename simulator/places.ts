/**
 * A table of facts: regencies (kabupaten) and cities (kota) of Indonesia, where they are and which clock they keep.
 * A city's point is its centre, a regency's is its seat, in degrees (WGS 84), good to about two kilometres.
 */

/** Indonesia keeps three clocks, without summer time. */
export type Zone = 'WIB' | 'WITA' | 'WIT'

export const ZONE_OFFSET_HOURS: Readonly<Record<Zone, number>> = { WIB: 7, WITA: 8, WIT: 9 }

/** 3: a metropolis; 2: a large city; 1: any other place. */
export type Size = 1 | 2 | 3

export interface Place {
  /** `denpasar`: fit for topics and file names. */
  readonly id: string
  /** `Kota Denpasar` */
  readonly name: string
  readonly province: string
  readonly zone: Zone
  readonly lat: number
  readonly lon: number
  readonly size: Size
}

type Row = readonly [name: string, lat: number, lon: number, size: Size]

const TABLE: readonly (readonly [province: string, zone: Zone, rows: readonly Row[]])[] = [
  [
    'Aceh',
    'WIB',
    [
      ['Kota Banda Aceh', 5.548, 95.324, 2],
      ['Kota Lhokseumawe', 5.18, 97.151, 1],
      ['Kota Langsa', 4.468, 97.968, 1],
      ['Kabupaten Aceh Barat', 4.136, 96.129, 1],
    ],
  ],
  [
    'Sumatera Utara',
    'WIB',
    [
      ['Kota Medan', 3.595, 98.672, 3],
      ['Kota Pematangsiantar', 2.96, 99.069, 1],
      ['Kota Binjai', 3.6, 98.485, 1],
      ['Kota Padangsidimpuan', 1.379, 99.272, 1],
      ['Kota Tebing Tinggi', 3.329, 99.163, 1],
      ['Kota Sibolga', 1.743, 98.779, 1],
      ['Kabupaten Deli Serdang', 3.558, 98.876, 2],
      ['Kabupaten Asahan', 2.985, 99.616, 1],
    ],
  ],
  [
    'Sumatera Barat',
    'WIB',
    [
      ['Kota Padang', -0.947, 100.417, 2],
      ['Kota Bukittinggi', -0.306, 100.369, 1],
      ['Kota Payakumbuh', -0.23, 100.631, 1],
      ['Kota Solok', -0.8, 100.655, 1],
    ],
  ],
  [
    'Riau',
    'WIB',
    [
      ['Kota Pekanbaru', 0.507, 101.448, 2],
      ['Kota Dumai', 1.665, 101.448, 1],
      ['Kabupaten Kampar', 0.334, 101.028, 1],
    ],
  ],
  [
    'Kepulauan Riau',
    'WIB',
    [
      ['Kota Batam', 1.13, 104.053, 2],
      ['Kota Tanjungpinang', 0.919, 104.467, 1],
    ],
  ],
  [
    'Jambi',
    'WIB',
    [
      ['Kota Jambi', -1.61, 103.613, 2],
      ['Kabupaten Bungo', -1.49, 102.11, 1],
    ],
  ],
  [
    'Sumatera Selatan',
    'WIB',
    [
      ['Kota Palembang', -2.976, 104.775, 3],
      ['Kota Lubuklinggau', -3.295, 102.861, 1],
      ['Kota Prabumulih', -3.421, 104.244, 1],
    ],
  ],
  [
    'Kepulauan Bangka Belitung',
    'WIB',
    [
      ['Kota Pangkalpinang', -2.13, 106.112, 1],
      ['Kabupaten Belitung', -2.733, 107.633, 1],
    ],
  ],
  ['Bengkulu', 'WIB', [['Kota Bengkulu', -3.796, 102.264, 1]]],
  [
    'Lampung',
    'WIB',
    [
      ['Kota Bandar Lampung', -5.429, 105.262, 2],
      ['Kota Metro', -5.113, 105.307, 1],
      ['Kabupaten Pringsewu', -5.358, 104.975, 1],
    ],
  ],
  [
    'Banten',
    'WIB',
    [
      ['Kota Tangerang', -6.178, 106.632, 3],
      ['Kota Tangerang Selatan', -6.289, 106.718, 3],
      ['Kota Serang', -6.12, 106.15, 2],
      ['Kota Cilegon', -6.019, 106.056, 1],
      ['Kabupaten Pandeglang', -6.308, 106.107, 1],
      ['Kabupaten Lebak', -6.36, 106.249, 1],
    ],
  ],
  [
    'DKI Jakarta',
    'WIB',
    [
      ['Kota Jakarta Pusat', -6.186, 106.834, 3],
      ['Kota Jakarta Utara', -6.138, 106.864, 3],
      ['Kota Jakarta Barat', -6.168, 106.759, 3],
      ['Kota Jakarta Selatan', -6.262, 106.811, 3],
      ['Kota Jakarta Timur', -6.225, 106.9, 3],
    ],
  ],
  [
    'Jawa Barat',
    'WIB',
    [
      ['Kota Bandung', -6.917, 107.619, 3],
      ['Kota Bekasi', -6.238, 106.976, 3],
      ['Kota Bogor', -6.597, 106.806, 2],
      ['Kota Depok', -6.402, 106.794, 3],
      ['Kota Cimahi', -6.872, 107.542, 1],
      ['Kota Cirebon', -6.732, 108.552, 2],
      ['Kota Sukabumi', -6.928, 106.93, 1],
      ['Kota Tasikmalaya', -7.327, 108.221, 2],
      ['Kota Banjar', -7.371, 108.534, 1],
      ['Kabupaten Karawang', -6.323, 107.338, 2],
      ['Kabupaten Purwakarta', -6.557, 107.443, 1],
      ['Kabupaten Subang', -6.572, 107.759, 1],
      ['Kabupaten Garut', -7.228, 107.909, 1],
      ['Kabupaten Cianjur', -6.822, 107.139, 1],
      ['Kabupaten Indramayu', -6.326, 108.32, 1],
      ['Kabupaten Sumedang', -6.859, 107.916, 1],
      ['Kabupaten Majalengka', -6.836, 108.228, 1],
      ['Kabupaten Kuningan', -6.976, 108.483, 1],
      ['Kabupaten Ciamis', -7.326, 108.353, 1],
    ],
  ],
  [
    'Jawa Tengah',
    'WIB',
    [
      ['Kota Semarang', -6.967, 110.417, 3],
      ['Kota Surakarta', -7.576, 110.824, 2],
      ['Kota Magelang', -7.471, 110.218, 1],
      ['Kota Pekalongan', -6.889, 109.675, 1],
      ['Kota Tegal', -6.869, 109.14, 1],
      ['Kota Salatiga', -7.331, 110.508, 1],
      ['Kabupaten Banyumas', -7.421, 109.234, 1],
      ['Kabupaten Cilacap', -7.728, 109.01, 1],
      ['Kabupaten Kudus', -6.805, 110.841, 1],
      ['Kabupaten Jepara', -6.589, 110.668, 1],
      ['Kabupaten Pati', -6.756, 111.038, 1],
      ['Kabupaten Klaten', -7.706, 110.606, 1],
      ['Kabupaten Kebumen', -7.669, 109.653, 1],
      ['Kabupaten Brebes', -6.871, 109.043, 1],
      ['Kabupaten Purworejo', -7.713, 110.008, 1],
      ['Kabupaten Sragen', -7.426, 111.023, 1],
      ['Kabupaten Blora', -6.97, 111.419, 1],
    ],
  ],
  [
    'DI Yogyakarta',
    'WIB',
    [
      ['Kota Yogyakarta', -7.796, 110.37, 2],
      ['Kabupaten Sleman', -7.716, 110.355, 2],
      ['Kabupaten Bantul', -7.888, 110.329, 1],
    ],
  ],
  [
    'Jawa Timur',
    'WIB',
    [
      ['Kota Surabaya', -7.258, 112.752, 3],
      ['Kota Malang', -7.967, 112.633, 2],
      ['Kota Kediri', -7.817, 112.011, 1],
      ['Kota Madiun', -7.63, 111.524, 1],
      ['Kota Blitar', -8.098, 112.168, 1],
      ['Kota Mojokerto', -7.472, 112.434, 1],
      ['Kota Pasuruan', -7.645, 112.908, 1],
      ['Kota Probolinggo', -7.754, 113.216, 1],
      ['Kota Batu', -7.871, 112.527, 1],
      ['Kabupaten Sidoarjo', -7.448, 112.718, 2],
      ['Kabupaten Gresik', -7.155, 112.655, 2],
      ['Kabupaten Jember', -8.172, 113.7, 2],
      ['Kabupaten Banyuwangi', -8.219, 114.369, 1],
      ['Kabupaten Lamongan', -7.117, 112.417, 1],
      ['Kabupaten Tuban', -6.898, 112.065, 1],
      ['Kabupaten Bojonegoro', -7.15, 111.882, 1],
      ['Kabupaten Jombang', -7.547, 112.233, 1],
      ['Kabupaten Tulungagung', -8.066, 111.903, 1],
      ['Kabupaten Ponorogo', -7.865, 111.463, 1],
      ['Kabupaten Lumajang', -8.134, 113.224, 1],
      ['Kabupaten Pamekasan', -7.157, 113.475, 1],
      ['Kabupaten Sumenep', -7.005, 113.859, 1],
    ],
  ],
  [
    'Bali',
    'WITA',
    [
      ['Kota Denpasar', -8.67, 115.213, 3],
      ['Kabupaten Badung', -8.58, 115.177, 2],
      ['Kabupaten Buleleng', -8.112, 115.088, 1],
      ['Kabupaten Tabanan', -8.541, 115.125, 1],
      ['Kabupaten Gianyar', -8.544, 115.326, 1],
    ],
  ],
  [
    'Nusa Tenggara Barat',
    'WITA',
    [
      ['Kota Mataram', -8.583, 116.117, 2],
      ['Kota Bima', -8.461, 118.727, 1],
      ['Kabupaten Sumbawa', -8.493, 117.42, 1],
    ],
  ],
  [
    'Nusa Tenggara Timur',
    'WITA',
    [
      ['Kota Kupang', -10.177, 123.607, 2],
      ['Kabupaten Manggarai Barat', -8.496, 119.888, 1],
      ['Kabupaten Ende', -8.843, 121.662, 1],
      ['Kabupaten Sikka', -8.62, 122.211, 1],
      ['Kabupaten Sumba Timur', -9.657, 120.264, 1],
    ],
  ],
  [
    'Kalimantan Barat',
    'WIB',
    [
      ['Kota Pontianak', -0.026, 109.343, 2],
      ['Kota Singkawang', 0.907, 108.985, 1],
      ['Kabupaten Ketapang', -1.85, 109.972, 1],
      ['Kabupaten Sintang', 0.07, 111.495, 1],
    ],
  ],
  [
    'Kalimantan Tengah',
    'WIB',
    [
      ['Kota Palangka Raya', -2.208, 113.917, 1],
      ['Kabupaten Kotawaringin Timur', -2.535, 112.952, 1],
      ['Kabupaten Kotawaringin Barat', -2.684, 111.621, 1],
    ],
  ],
  [
    'Kalimantan Selatan',
    'WITA',
    [
      ['Kota Banjarmasin', -3.319, 114.594, 2],
      ['Kota Banjarbaru', -3.443, 114.832, 1],
    ],
  ],
  [
    'Kalimantan Timur',
    'WITA',
    [
      ['Kota Samarinda', -0.502, 117.154, 2],
      ['Kota Balikpapan', -1.238, 116.853, 2],
      ['Kota Bontang', 0.133, 117.5, 1],
      ['Kabupaten Kutai Kartanegara', -0.414, 116.983, 1],
    ],
  ],
  [
    'Kalimantan Utara',
    'WITA',
    [
      ['Kota Tarakan', 3.32, 117.58, 1],
      ['Kabupaten Bulungan', 2.84, 117.365, 1],
    ],
  ],
  [
    'Sulawesi Utara',
    'WITA',
    [
      ['Kota Manado', 1.475, 124.842, 2],
      ['Kota Bitung', 1.44, 125.122, 1],
      ['Kota Kotamobagu', 0.733, 124.317, 1],
      ['Kota Tomohon', 1.323, 124.84, 1],
    ],
  ],
  ['Gorontalo', 'WITA', [['Kota Gorontalo', 0.544, 123.057, 1]]],
  [
    'Sulawesi Tengah',
    'WITA',
    [
      ['Kota Palu', -0.892, 119.871, 2],
      ['Kabupaten Banggai', -0.952, 122.788, 1],
      ['Kabupaten Poso', -1.396, 120.752, 1],
    ],
  ],
  [
    'Sulawesi Barat',
    'WITA',
    [
      ['Kabupaten Mamuju', -2.675, 118.886, 1],
      ['Kabupaten Polewali Mandar', -3.42, 119.343, 1],
    ],
  ],
  [
    'Sulawesi Selatan',
    'WITA',
    [
      ['Kota Makassar', -5.148, 119.433, 3],
      ['Kota Parepare', -4.014, 119.626, 1],
      ['Kota Palopo', -2.993, 120.197, 1],
      ['Kabupaten Gowa', -5.212, 119.452, 1],
      ['Kabupaten Bone', -4.539, 120.328, 1],
      ['Kabupaten Bulukumba', -5.555, 120.194, 1],
    ],
  ],
  [
    'Sulawesi Tenggara',
    'WITA',
    [
      ['Kota Kendari', -3.985, 122.513, 1],
      ['Kota Baubau', -5.465, 122.605, 1],
    ],
  ],
  [
    'Maluku',
    'WIT',
    [
      ['Kota Ambon', -3.695, 128.181, 1],
      ['Kota Tual', -5.63, 132.75, 1],
    ],
  ],
  ['Maluku Utara', 'WIT', [['Kota Ternate', 0.79, 127.384, 1]]],
  [
    'Papua',
    'WIT',
    [
      ['Kota Jayapura', -2.534, 140.718, 1],
      ['Kabupaten Biak Numfor', -1.18, 136.08, 1],
    ],
  ],
  ['Papua Barat', 'WIT', [['Kabupaten Manokwari', -0.862, 134.062, 1]]],
  ['Papua Barat Daya', 'WIT', [['Kota Sorong', -0.876, 131.256, 1]]],
  ['Papua Selatan', 'WIT', [['Kabupaten Merauke', -8.499, 140.405, 1]]],
  ['Papua Tengah', 'WIT', [['Kabupaten Nabire', -3.366, 135.5, 1]]],
  ['Papua Pegunungan', 'WIT', [['Kabupaten Jayawijaya', -4.097, 138.952, 1]]],
]

export const PLACES: readonly Place[] = TABLE.flatMap(([province, zone, rows]) =>
  rows.map(([name, lat, lon, size]) => ({
    id: name
      .replace(/^(Kota|Kabupaten) /, '')
      .toLowerCase()
      .replaceAll(' ', '-'),
    name,
    province,
    zone,
    lat,
    lon,
    size,
  })),
)
