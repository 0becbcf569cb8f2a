// node's ssh2. It decides by the server's banner in which order a link's names go.
const { createHash } = require('node:crypto')
const { readFileSync, readdirSync } = require('node:fs')
const { once } = require('node:events')
const { promisify } = require('node:util')
const { Client } = require('ssh2')

const { env } = process
const whole = readFileSync('firmware'), head = readFileSync('head'), step = 3001
const privateKey = readFileSync(env.KEY)

// Both host keys of a host are in KNOWN; ssh2 has no reader of its own for that.
const known = readFileSync(env.KNOWN, 'latin1').split('\n').map((line) => line.split(' '))
const knows = (name) => (key) => known.some(([names, , blob]) => names.split(',').includes(name) && blob === key.toString('base64'))

async function connect(options, name) {
  const c = new Client()
  const ready = once(c, 'ready')
  c.connect({ ...options, privateKey, hostVerifier: knows(name) })
  await ready
  return c
}

async function act(name, doing) {
  try {
    console.log(name, (await doing()) ?? '')
  } catch (e) {
    console.log(name, e.code ?? e.message) // what a server says beside the code is its own
  }
}

async function main() {
  let sock, door
  if (env.DOOR_HOST) {
    door = await connect({ host: env.DOOR_HOST, port: +env.DOOR_PORT, username: 'sallyport' }, `[${env.DOOR_HOST}]:${env.DOOR_PORT}`)
    sock = await promisify(door.forwardOut.bind(door))('127.0.0.1', 0, env.HOST, +env.PORT)
  }
  const scanner = await connect({ host: env.HOST, port: +env.PORT, sock, username: env.LOGIN }, env.PORT === '22' ? env.HOST : `[${env.HOST}]:${env.PORT}`)
  const sftp = await promisify(scanner.sftp.bind(scanner))()
  const ask = (op) => (...args) => new Promise((ok, no) => sftp[op](...args, (err, got) => (err ? no(err) : ok(got))))
  const far = (name) => `${env.FAR}/${name}`
  async function write(name, flags, parts, cut) {
    const handle = await ask('open')(far(name), flags)
    await Promise.all(parts.map(([offset, data]) => ask('write')(handle, data, 0, data.length, offset)))
    if (cut !== undefined) await ask('fsetstat')(handle, { size: cut })
    await ask('close')(handle)
  }
  const parts = (from, width = step) => {
    const all = []
    for (let i = from; i < whole.length; i += step) all.push([i, whole.subarray(i, i + width)])
    return all
  }

  await act('put', () => ask('fastPut')('firmware', far('whole-put')))
  await act('get', () => ask('fastGet')(far('whole-put'), 'whole-got'))
  await act('head', () => write('whole-appended', 'w', [[0, head]]))
  await act('append', () => write('whole-appended', 'a', parts(head.length)))
  await act('head', () => write('whole-added', 'w', [[0, head]]))
  await act('append', () => ask('appendFile')(far('whole-added'), whole.subarray(head.length)))
  await act('head', () => write('whole-resumed', 'w', [[0, head]]))
  await act('resume', () => write('whole-resumed', 'r+', parts(head.length)))
  if (env.ORDERED) {
    const both = parts(0, 2 * step).flatMap(([i, data]) => [[i, Buffer.alloc(2 * step)], [i, data]])
    await act('overlap', () => write('whole-overlap', 'w', both, whole.length))
  }
  await act('write, then cut', () => write('cut', 'w', parts(0), 12345))
  await act('cut an open file that was renamed', async () => {
    const handle = await ask('open')(far('first'), 'w+')
    await ask('write')(handle, Buffer.from('the first file'), 0, 14, 0)
    await ask('rename')(far('first'), far('moved'))
    await write('first', 'w', [[0, Buffer.from('another')]])
    await ask('fsetstat')(handle, { size: 3 })
    await ask('close')(handle)
  })
  await act('soft', () => ask('symlink')('whole-put', far('link')))
  await act('says', () => ask('readlink')(far('link')))
  await act('hard', () => ask('ext_openssh_hardlink')(far('whole-put'), far('whole-hard')))
  await act('space', async () => (await ask('ext_openssh_statvfs')(env.FAR)).f_bsize)
  await act('rename', () => ask('ext_openssh_rename')(far('whole-resumed'), far('whole-renamed')))
  await act('onto another', () => ask('rename')(far('cut'), far('whole-renamed')))
  await act('mode', () => ask('chmod')(far('whole-renamed'), 0o640))
  await act('times', () => ask('utimes')(far('whole-renamed'), 981173106, 981173106))
  await act('missing', () => ask('stat')(far('nothing')))
  await act('mkdir', () => ask('mkdir')(far('names')))
  for (const name of readdirSync('names').sort()) await act(JSON.stringify(name), () => ask('writeFile')(far('names/' + name), name))
  await act('full', () => ask('rmdir')(far('names')))
  await act('many', async () => {
    const names = (await ask('readdir')(env.MANY)).map((e) => e.filename).sort()
    return createHash('sha256').update(names.join('\n')).digest('hex')
  })
  const command = await promisify(scanner.exec.bind(scanner))('echo out; echo err >&2; exit 3')
  const said = ['', '']
  command.on('data', (d) => (said[0] += d)).stderr.on('data', (d) => (said[1] += d))
  const [status] = await once(command, 'close')
  console.log(JSON.stringify(said), status)
  scanner.end()
  door?.end()
}

main().catch((e) => {
  console.error(e)
  process.exit(1)
})
