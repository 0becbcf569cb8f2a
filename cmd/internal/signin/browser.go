package signin

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
)

// Browser opens addresses for a person.
type Browser struct {
	Env []string // the environment, as of os.Environ
}

// command picks what opens url: $BROWSER split at spaces, with %s replaced by the
// address or the address appended; else the system's opener. Nil: nothing fits.
func (b Browser) command(url string) []string {
	if set := strings.Fields(b.get("BROWSER")); len(set) > 0 {
		replaced := false
		for i, part := range set {
			if strings.Contains(part, "%s") {
				set[i], replaced = strings.ReplaceAll(part, "%s", url), true
			}
		}
		if !replaced {
			set = append(set, url)
		}
		return set
	}
	switch runtime.GOOS {
	case "darwin":
		return []string{"open", url}
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler", url}
	}
	if b.get("DISPLAY") == "" && b.get("WAYLAND_DISPLAY") == "" {
		return nil
	}
	return []string{"xdg-open", url}
}

func (b Browser) get(name string) string {
	value := ""
	for _, pair := range b.Env {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			value = v
		}
	}
	return value
}

// Window is a browser command that was started.
type Window struct {
	cancel context.CancelFunc
	done   chan struct{}
	once   sync.Once
}

// Close stops waiting for the command. A command that goes on by itself, as
// browsers do, is not ended.
func (w *Window) Close() {
	w.once.Do(func() { w.cancel(); <-w.done })
}

// Open starts the browser. ok is false when there is none. trouble is called at
// most once, from another goroutine, if the command could not do it.
func (b Browser) Open(ctx context.Context, url string, trouble func(why string)) (w *Window, ok bool) {
	parts := b.command(url)
	if len(parts) == 0 {
		return nil, false
	}
	ctx, cancel := context.WithCancel(ctx)
	w = &Window{cancel: cancel, done: make(chan struct{})}
	cmd := exec.Command(parts[0], parts[1:]...)
	cmd.Env = b.Env
	// A file, not a pipe: a browser that outlives us must be able to go on complaining.
	words, err := os.CreateTemp("", "sallyport-browser-*")
	if err == nil {
		defer os.Remove(words.Name())
		cmd.Stderr = words
	}
	ended := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		cancel()
		close(w.done)
		trouble(err.Error())
		return w, true
	}
	go func() { ended <- cmd.Wait() }() // ends with the command; a browser may outlive us
	go func() {                         // owned by Close
		defer close(w.done)
		select {
		case err := <-ended:
			if err != nil && ctx.Err() == nil {
				trouble(strings.TrimSpace(complaint(words) + " (" + err.Error() + ")"))
			}
		case <-ctx.Done():
		}
	}()
	return w, true
}

// complaint reads the first kilobyte of what a command said.
func complaint(f *os.File) string {
	if f == nil {
		return ""
	}
	b := make([]byte, 1024)
	n, _ := f.ReadAt(b, 0)
	return strings.TrimSpace(string(b[:n]))
}
