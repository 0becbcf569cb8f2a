// A console's recording as a video, made in the reviewer's own browser. It comes with the
// library that writes the file, so it is loaded when somebody asks for a video.
import { BufferTarget, CanvasSource, getFirstEncodableVideoCodec, Mp4OutputFormat, Output, QUALITY_HIGH, WebMOutputFormat } from 'mediabunny';
import { Projector, type Of } from './exports';
import { stamp } from './replay';

const least = 0.1e6; // between two pictures, in microseconds
const idleFrom = 2e6; // what is longer …
const idleTo = 0.5e6; // … is shown so long
const strip = 28; // pixels below the picture, with the time

const even = (n: number) => 2 * Math.ceil(n / 2);

export interface Video {
  blob: Blob;
  ending: 'webm' | 'mp4';
}

export async function makeVideo(of: Of, signal: AbortSignal, progress: (part: number) => void): Promise<Video> {
  const show = new Projector(of);
  let output: Output<WebMOutputFormat | Mp4OutputFormat, BufferTarget> | undefined;
  try {
    await show.show(of.replay.duration / 2); // as large as it is in the middle
    const [w, h] = [even(show.canvas.width || 1280), even(show.canvas.height || 800) + strip];
    const codec = await getFirstEncodableVideoCodec(['vp9', 'vp8', 'av1', 'avc'], { width: w, height: h });
    if (!codec) throw new Error('This browser cannot write videos of this size. Use sallyport recordings export on your own machine.');
    const ending = codec === 'avc' ? 'mp4' : 'webm';
    const canvas = new OffscreenCanvas(w, h);
    const d = canvas.getContext('2d', { alpha: false })!;
    const source = new CanvasSource(canvas, { codec, bitrate: QUALITY_HIGH, keyFrameInterval: 5 });
    output = new Output({ format: ending === 'mp4' ? new Mp4OutputFormat() : new WebMOutputFormat(), target: new BufferTarget() });
    output.addVideoTrack(source);
    await output.start();
    let at = 0;
    for (let when = 0; at < of.replay.duration; ) {
      signal.throwIfAborted();
      await show.show(at);
      picture(d, show.canvas, `${stamp(at)} of ${stamp(of.replay.duration)}`);
      const next = Math.min(of.replay.duration, Math.max(at + least, show.next));
      const long = next - at > idleFrom ? idleTo : next - at;
      await source.add(when / 1e6, long / 1e6);
      when += long;
      at = next;
      progress(at / of.replay.duration);
    }
    await output.finalize();
    return { blob: new Blob([output.target.buffer!], { type: ending === 'mp4' ? 'video/mp4' : 'video/webm' }), ending };
  } catch (e) {
    await output?.cancel().catch(() => {});
    throw e;
  } finally {
    show.stop();
  }
}

function picture(d: OffscreenCanvasRenderingContext2D, from: OffscreenCanvas, words: string): void {
  const { width, height } = d.canvas;
  d.fillStyle = '#101418';
  d.fillRect(0, 0, width, height);
  if (from.width) {
    const by = Math.min(1, width / from.width, (height - strip) / from.height);
    d.drawImage(from, 0, 0, from.width * by, from.height * by);
  }
  d.fillStyle = '#e8ecee';
  d.font = '15px sans-serif';
  d.fillText(words, 8, height - 9);
}
