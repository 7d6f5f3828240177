# SPDX-License-Identifier: Apache-2.0
"""Thirty-two ORB descriptors that stand for all: k-majority centres of those of CamVid train."""

import numpy as np

_HEX = (
    'c838bdf5a86c7d17bbfbb638bfb7407b87777d18b14df340cffb769080e0877b',
    '93cf629e5693eef4d540dac679e8b7607eeb17efedbb2cff302eae803dbe70dc',
    '7cb0bd72a9ed51dfbbbfa4189eff483b81d7fd103a6ffa31dbdb557fc240c673',
    'd0ac9cbe89ed14afbeb78219e6f3485b8177e9103a4ddb33d9f35f7f8050870a',
    'd5576fe5340a6f3874eaffe6d36399617ee43eeee9b46d0ef4abe7842dfb7031',
    'deb4bcb6a97c5c9ebbff973dcfff4b5ba7d7fd13be47dbe2dbf37fff82758f53',
    '3d4d6bef5403eff85580fe0273e9b56078ec17eae9b36dbff2efa78077bb70a0',
    '6da59d67bc2f47bf76bbab58d371593a99c66c3a39f0f93aeddf6574c8fbc220',
    '029cb69bbbe0bce7bf5f5ab3acfe2649e73bbb9136dd03f78d36dec39444a5df',
    '5ab9bababbfd11c7af1dac39aedf6250a7bbff10164bb2f1dbd51a7b9204af5b',
    '29b8b9f9fdedf1d77f797418beb95438c93a7718937af2f34fdf166ad208c3ab',
    '595d5f65300e673464a8ee40f733817036f46c6ac9b0f10ce5ef250068b24229',
    '22f930bafddd96ef8f1db809aedc6e84c9fbdb51566bdaf5bf541f7b521e8fdf',
    'a6aca69acdf5bcca9fb7911becfc7f0be9dbfb933667daf31f52df7fd57dbfd6',
    '2db5f143fd3de2d85bf93d4cdaf8ddbc99ca567e9772fef20f5c057edbffdab5',
    '2bbf62daf7d1bae75f4d7ca728ccb6a4febb97d5d6ba2eff3e5d8eeb578effdf',
    'fc70bd65286f579822baa708d777493b91d47d6a2967fb08d3eb6534e0f34633',
    'de4de6beae027ee0bd86daa36dee3343fef5ffe36cc78beeb2f7cf8b2577255b',
    '00891eb9348fa967be015a12b5832040ea2b3b8112980355c5a5ba401008a18a',
    '228d029bdca3aeef1e01d802e8ea304079eb139132ba4bff3c269fc8950ab188',
    '38693a6e5dcf57e8c784ec0873d92110d8f84e6248235a3df3dd013b713b66aa',
    '9b166fe5723af9733dca56f7bd2e96e576bdbfada59c25ced67fba802f8421fd',
    '7c61f866cd5d56c8e3b6ad094bfd4f1a99d4ed724c63fab0fbdd453fe37f4e42',
    '29fd796b74cf47fd5768fc08f3551830589a5668cbba793f6fdd2574738ac6fb',
    'ed7ffd67a41f6fb879eabf6cdb7d9f371fc47c6ee9f4fdaeeeff65946ffb5271',
    '3b797bec7e9f7b78adc8fd6e7fdfb730feb9d76ec9a330ddf3fd23ba7fab63f1',
    '08bd3b7bb1ed7177bf496e10beb72070a73b5f1033b8307fefff3242c040a7bb',
    '3fef604ffc1beef857e8fdee4b689fa47fccd7efedf26dff3e5fa5b47fff5ad5',
    '099f7fedb08e6f377c497ee4ff379070363f7f8cf198656feeef36c02c808179',
    'dc7dffe6aa4e5fb8b1eeb6a9ff770353b6f5fde268c5b92ef3e3679520f32773',
    '6ab8f2506dfdf847ebfdb43d2a9c56beafbbf715966ff2d11f5950fbc70c4fdf',
    '5f9ffff7e62affff3ffbfef6dd6f9d6b7fdf7fbfb1d8adeafeffffc4aff1e1f1',
)

SIGNS = np.unpackbits(
    np.frombuffer(bytes.fromhex(''.join(_HEX)), np.uint8).reshape(len(_HEX), 32), axis=1
).astype(np.float32) * 2 - 1
"""float32 [32, 256], -1 or 1."""
