# asyncssh, which asks for as much at once as it can.
import asyncio, hashlib, asyncssh
from os import environ as env

whole, head = open('firmware', 'rb').read(), open('head', 'rb').read()
step = 3001

async def act(name, doing):
    try:
        print(name, await doing)
    except (asyncssh.SFTPError, OSError) as e:  # what a server says beside the code is its own
        print(name, getattr(e, 'code', e))

async def write(sftp, name, mode, parts, cut=None):
    async with sftp.open(name, mode) as f:
        await asyncio.gather(*(f.write(data, offset) for offset, data in parts))
        if cut is not None:
            await f.truncate(cut)

async def read(sftp, name):
    async with sftp.open(name, 'rb') as f:
        return hashlib.sha256(b''.join(await asyncio.gather(*(f.read(step, i) for i in range(0, len(whole), step))))).hexdigest()

async def renamed(sftp):
    f = await sftp.open('first', 'w+b')
    await f.write(b'the first file')
    await sftp.rename('first', 'moved')
    await write(sftp, 'first', 'wb', [(0, b'another')])
    await f.truncate(3)
    await f.close()

async def many(sftp):
    return hashlib.sha256('\n'.join(sorted(await sftp.listdir(env['MANY']))).encode()).hexdigest()

async def space(sftp):
    return (await sftp.statvfs('.')).bsize

async def work(sftp):
    await sftp.chdir(env['FAR'])
    rest = range(len(head), len(whole), step)
    await act('put', sftp.put('firmware', 'whole-put'))
    await act('get', sftp.get('whole-put', 'whole-got'))
    await act('head', write(sftp, 'whole-appended', 'wb', [(0, head)]))
    await act('append', write(sftp, 'whole-appended', 'ab', [(i, whole[i:i + step]) for i in rest]))
    await act('head', write(sftp, 'whole-resumed', 'wb', [(0, head)]))
    await act('resume', write(sftp, 'whole-resumed', 'r+b', [(i, whole[i:i + step]) for i in rest]))
    if env['ORDERED']:
        await act('overlap', write(sftp, 'whole-overlap', 'wb', [p for i in range(0, len(whole), step) for p in ((i, b'\0' * 2 * step), (i, whole[i:i + 2 * step]))],
                                   cut=len(whole)))
    await act('write, then cut', write(sftp, 'cut', 'wb', [(0, whole)], cut=12345))
    await act('read', read(sftp, 'whole-put'))
    await act('cut an open file that was renamed', renamed(sftp))
    await act('soft', sftp.symlink('whole-put', env['FAR'] + '/link'))  # chdir is for the first name alone
    await act('says', sftp.readlink('link'))
    await act('hard', sftp.link('whole-put', 'whole-hard'))
    await act('space', space(sftp))
    await act('rename', sftp.posix_rename('whole-resumed', 'whole-renamed'))
    await act('onto another', sftp.rename('cut', 'whole-renamed'))
    await act('mode', sftp.chmod('whole-renamed', 0o640))
    await act('times', sftp.utime('whole-renamed', (981173106, 981173106)))
    await act('missing', sftp.stat('nothing'))
    await act('names', sftp.put(b'names', b'names', recurse=True))
    await act('back', sftp.get(b'names', b'names-back', recurse=True))
    await act('full', sftp.rmdir('names'))
    await act('remove', sftp.rmtree('names'))
    await act('many', many(sftp))

async def main():
    options = dict(known_hosts=env['KNOWN'], client_keys=[env['KEY']], agent_path=None, config=None)
    door = await asyncssh.connect(env['DOOR_HOST'], int(env['DOOR_PORT']), username='sallyport', **options) if env['DOOR_HOST'] else None
    async with asyncssh.connect(env['HOST'], int(env['PORT']), username=env['LOGIN'], tunnel=door, **options) as scanner:
        async with scanner.start_sftp_client() as sftp:
            await work(sftp)
        r = await scanner.run('echo out; echo err >&2; exit 3')
        print(repr(r.stdout), repr(r.stderr), r.exit_status)
    if door:
        door.close()

asyncio.run(main())
