# paramiko, by the recipe of deploy/clients.md.
import errno, hashlib, os, paramiko
from os import environ as env

def client():
    c = paramiko.SSHClient()
    c.load_host_keys(env['KNOWN'])
    return c

key, line = env['KEY'], None
if env['DOOR_HOST']:
    jump = client()
    jump.connect(env['DOOR_HOST'], int(env['DOOR_PORT']), username='sallyport', key_filename=key, allow_agent=False, look_for_keys=False)
    line = jump.get_transport().open_channel('direct-tcpip', (env['HOST'], int(env['PORT'])), ('', 0))
scanner = client()
scanner.connect(env['HOST'], int(env['PORT']), username=env['LOGIN'], key_filename=key, sock=line, allow_agent=False, look_for_keys=False)
sftp = scanner.open_sftp()
whole, head = open('firmware', 'rb').read(), open('head', 'rb').read()

def act(name, do):
    try:
        print(name, do())
    except IOError as e:  # what a server says beside the code is its own
        print(name, type(e).__name__, errno.errorcode.get(e.errno))

def write(name, mode, *parts, then=lambda f: None):
    with sftp.open(name, mode) as f:
        f.set_pipelined(True)
        for offset, data in parts:
            if offset is not None:
                f.seek(offset)
            f.write(data)
        then(f)

def renamed():
    f = sftp.open('first', 'w+')
    f.write(b'the first file')
    sftp.rename('first', 'moved')
    write('first', 'w', (0, b'another'))
    f.truncate(3)
    f.close()

step = 3001
sftp.chdir(env['FAR'])
act('put', lambda: sftp.put('firmware', 'whole-put').st_size)
act('get', lambda: sftp.get('whole-put', 'whole-got'))
act('head', lambda: write('whole-appended', 'w', (0, head)))
act('append', lambda: write('whole-appended', 'a', *[(None, whole[i:i + step]) for i in range(len(head), len(whole), step)]))
act('head', lambda: write('whole-resumed', 'w', (0, head)))
act('resume', lambda: write('whole-resumed', 'r+', *[(i, whole[i:i + step]) for i in range(len(head), len(whole), step)]))
if env['ORDERED']:
    act('overlap', lambda: write('whole-overlap', 'w', *[p for i in range(0, len(whole), step) for p in ((i, b'\0' * 2 * step), (i, whole[i:i + 2 * step]))],
                                 then=lambda f: f.truncate(len(whole))))
act('write, then cut', lambda: write('cut', 'w', (0, whole), then=lambda f: f.truncate(12345)))
act('cut an open file that was renamed', renamed)
act('soft', lambda: sftp.symlink('whole-put', 'link'))
act('says', lambda: sftp.readlink('link'))
act('rename', lambda: sftp.posix_rename('whole-resumed', 'whole-renamed'))
act('onto another', lambda: sftp.rename('cut', 'whole-renamed'))
act('mode', lambda: sftp.chmod('whole-renamed', 0o640))
act('times', lambda: sftp.utime('whole-renamed', (981173106, 981173106)))
act('is', lambda: (sftp.stat('whole-renamed').st_size, oct(sftp.stat('whole-renamed').st_mode), sftp.stat('whole-renamed').st_mtime))
act('missing', lambda: sftp.stat('nothing'))
act('mkdir', lambda: sftp.mkdir('names'))
for name in sorted(os.listdir(b'names')):
    act(repr(name), lambda: write(b'names/' + name, 'w', (0, name)))
act('full', lambda: sftp.rmdir('names'))
act('many', lambda: hashlib.sha256('\n'.join(sorted(sftp.listdir(env['MANY']))).encode()).hexdigest())
out = scanner.exec_command('echo out; echo err >&2; exit 3')
print(out[1].read(), out[2].read(), out[1].channel.recv_exit_status())
scanner.close()
