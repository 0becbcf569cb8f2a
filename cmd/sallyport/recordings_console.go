package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay/screen"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// consoleFormats are what a console's recording is exported as.
func consoleFormats() []string { return []string{"png", "contact-sheet", "webm", "mp4"} }

func forConsole(file string, at time.Duration, typed bool) error {
	switch {
	case file == "":
		return usage("It is not said where to save it").WithNext("Add -o FILE.")
	case at < 0:
		return usage("A moment is not before the beginning").WithNext("Try --at 12.5s.")
	case typed:
		return usage("A picture shows nothing of what was typed").WithNext("Leave --with-input out.")
	}
	return nil
}

// consoleSource is a recording in which one can jump.
type consoleSource interface {
	screen.Source
	Length() (recordings.Length, error)
}

// exportConsole makes a picture or a video of a console, on this machine.
func (p *program) exportConsole(ctx context.Context, t openRecording, format string, at time.Duration, file string) error {
	src, ok := t.(consoleSource)
	if !ok {
		return fmt.Errorf("a %T cannot be jumped in", t)
	}
	length, err := src.Length()
	if err != nil {
		return err
	}
	var picture image.Image
	switch format {
	case "png":
		show := screen.Open(src)
		if err := show.Jump(at.Microseconds()); err != nil {
			return err
		}
		if show.Size.X == 0 {
			return noConsole(at)
		}
		picture = screen.Picture(&show.Screen)
	case "contact-sheet":
		if picture, err = screen.Sheet(src, length.At); err != nil {
			return err
		}
	default:
		return p.video(ctx, src, length.At, format, file)
	}
	b, err := screen.PNG(picture)
	if err != nil {
		return err
	}
	return saveAs(file, b)
}

func noConsole(at time.Duration) error {
	return session.Errorf(session.Invalid, "No console was shown at %s", at).WithNext("Choose another moment with --at; a terminal is exported as text or asciicast-v2.")
}

func saveAs(file string, b []byte) error {
	f, err := durable.Create(file)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Commit()
}

// video has ffmpeg write one, from pictures that it is given as they are.
func (p *program) video(ctx context.Context, src screen.Source, duration int64, format, file string) error {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		return &session.Error{Kind: session.Internal, Message: "Videos are made by ffmpeg, which is not installed here", Err: err,
			Next: "Install ffmpeg, or make the video on the recording's page in the browser."}
	}
	show := screen.Open(src)
	if err := show.Jump(duration / 2); err != nil { // as large as it is in the middle
		return err
	}
	if show.Size.X == 0 {
		return noConsole(time.Duration(duration/2) * time.Microsecond)
	}
	mine, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600) // ffmpeg's own would be everybody's to read
	if err != nil {
		return fmt.Errorf("write the video: %w", err)
	}
	if err := mine.Close(); err != nil {
		return err
	}
	canvas := image.NewRGBA(image.Rect(0, 0, show.Size.X+show.Size.X%2, show.Size.Y+show.Size.Y%2))
	size := canvas.Bounds().Size()
	var said strings.Builder
	c := exec.CommandContext(ctx, ffmpeg, "-nostdin", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgba", "-video_size", fmt.Sprintf("%dx%d", size.X, size.Y),
		"-framerate", fmt.Sprint(videoRate), "-i", "pipe:0", "-pix_fmt", "yuv420p", "-f", format, "-y", "--", file)
	c.Stderr = &said
	in, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return fmt.Errorf("start ffmpeg: %w", err)
	}
	err = frames(ctx, screen.Open(src), duration, canvas, func() error { _, err := in.Write(canvas.Pix); return err })
	err = errors.Join(err, in.Close(), c.Wait())
	if err != nil {
		return &session.Error{Kind: session.Internal, Message: "ffmpeg could not make the video: " + firstLine(said.String()), Err: err, Next: "Try --format webm, or look at " + file + "."}
	}
	return nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return fmt.Sprintf("%.200q", line)
}

// frames draws one picture after another on the canvas. Pauses are cut short.
func frames(ctx context.Context, show *screen.Show, duration int64, canvas *image.RGBA, write func() error) error {
	const step = int64(time.Second/time.Microsecond) / videoRate
	for at := int64(0); at < duration; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := show.Jump(at); err != nil {
			return err
		}
		clear(canvas.Pix)
		draw.Draw(canvas, canvas.Bounds(), screen.Picture(&show.Screen), image.Point{}, draw.Src)
		next, ok, err := show.Next()
		if err != nil {
			return err
		}
		if !ok || next > duration {
			next = duration
		}
		next = max(next, at+step)
		for range max(1, min(next-at, videoPause.Microseconds())/step) {
			if err := write(); err != nil {
				return err
			}
		}
		at = next
	}
	return nil
}
