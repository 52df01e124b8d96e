package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	// lokiPackages is about how many packages Loki and logcli are made of.
	lokiPackages = 2160
	lokiName     = "loki"
	logcliName   = "logcli"
)

// build makes Loki and logcli and puts them at home, a folder in the cache. Whatever is found at
// home is whole: the binaries are built elsewhere and the folder is renamed when both are there.
func build(ctx context.Context, r recipe, home string, progress io.Writer) error {
	cache := filepath.Dir(home)
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return fmt.Errorf("make the cache folder for Loki: %w", err)
	}
	unlock, err := lock(ctx, home+".lock", func() {
		say(progress, "Another process is building Loki; waiting for it.\n")
	})
	if err != nil {
		return fmt.Errorf("wait for another build of Loki: %w", err)
	}
	defer unlock()
	if isFile(filepath.Join(home, lokiName)) && isFile(filepath.Join(home, logcliName)) {
		return nil // built while we waited
	}

	// Under the lock nobody else builds this key: what lies there is of a build that was killed.
	leftovers, _ := filepath.Glob(home + ".building-*")
	for _, old := range append(leftovers, home) {
		if err := os.RemoveAll(old); err != nil {
			return fmt.Errorf("remove an unfinished build of Loki: %w", err)
		}
	}
	dir, err := os.MkdirTemp(cache, filepath.Base(home)+".building-")
	if err != nil {
		return fmt.Errorf("make a folder to build Loki in: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	if err := goBuild(ctx, r, dir, progress); err != nil {
		return fmt.Errorf("build Loki %s: %w", r.version, err)
	}
	if err := os.Rename(filepath.Join(dir, "bin"), home); err != nil {
		return fmt.Errorf("keep the built Loki: %w", err)
	}
	return nil
}

// lock takes the lock of the file at path, after saying so when it has to wait. The file stays: were
// it removed, a process that waits and one that comes later would lock two different files.
func lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	// Asked again and again, since a blocking lock would not end with the context.
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for first := true; ; first = false {
		ok, err := tryLock(f)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if ok {
			return func() { _ = f.Close() }, nil
		}
		if first {
			waiting()
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		}
	}
}

// goBuild runs the go command for both binaries, into dir/bin; everything it leaves is under dir.
func goBuild(ctx context.Context, r recipe, dir string, progress io.Writer) error {
	for _, sub := range []string{"bin", "work"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o750); err != nil {
			return err
		}
	}
	const loki = "github.com/grafana/loki/v3"
	cmd := exec.Command("go", "build", "-v", "-trimpath", //nolint:noctx,gosec // ends with ctx below, by its whole process group; nothing in it is from outside
		"-ldflags=-s -w -X "+loki+"/pkg/util/build.Version="+r.version,
		"-o", filepath.Join(dir, "bin")+string(filepath.Separator),
		loki+"/cmd/loki", loki+"/cmd/logcli")
	cmd.Dir = r.module
	// For this machine and from this module alone, whatever the caller is set to build.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOTMPDIR="+filepath.Join(dir, "work"),
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "PWD="+r.module)
	cmd.WaitDelay = 5 * time.Second

	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("%w (%w)", ErrNoLoki, err)
	}
	say(progress, "Building Loki %s, once: about five minutes, kept in %s.\n", r.version, filepath.Dir(dir))
	p := watchBuild(progress)
	cmd.Stdout, cmd.Stderr = p, p
	if err := ctx.Err(); err != nil {
		p.end()
		return err
	}
	c, err := startChild(cmd)
	if err != nil {
		p.end()
		return err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		c.stop(os.Interrupt, 10*time.Second) // the go command stops its compilers on an interrupt
	}
	took := p.end()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.err != nil {
		return fmt.Errorf("go build in %s: %w\n%s", r.module, c.err, p.complaint())
	}
	say(progress, "Built Loki %s in %s.\n", r.version, took)
	return nil
}

// buildProgress reads what `go build -v` says and tells how far it is: a line per package compiled,
// a line per module downloaded, and the rest is complaint.
type buildProgress struct {
	out      io.Writer
	terminal bool
	start    time.Time
	stop     chan struct{}
	stopped  chan struct{}

	mu                   sync.Mutex
	partial              []byte // of a line that is not whole yet
	compiled, downloaded int
	other                []string // the last lines that were neither
}

// watchBuild tells about the build until end is called.
func watchBuild(out io.Writer) *buildProgress {
	p := &buildProgress{
		out: out, terminal: isTerminal(out), start: time.Now(),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	pause := 15 * time.Second
	if p.terminal {
		pause = time.Second
	}
	go func() {
		defer close(p.stopped)
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.tell()
			case <-p.stop:
				return
			}
		}
	}()
	return p
}

// Write takes the output of the go command.
func (p *buildProgress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.partial = append(p.partial, b...)
	for {
		line, rest, whole := bytes.Cut(p.partial, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		p.partial = rest
		p.line(string(line))
	}
}

func (p *buildProgress) line(line string) {
	const kept = 40
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		p.downloaded++
	case line != "" && !strings.ContainsAny(line, " \t:"):
		p.compiled++
	default:
		p.other = append(p.other, line)
		p.other = p.other[max(0, len(p.other)-kept):]
	}
}

func (p *buildProgress) tell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := time.Since(p.start).Round(time.Second)
	text := fmt.Sprintf("  %s: compiled %d of about %d packages", took, p.compiled, lokiPackages)
	if p.compiled == 0 && p.downloaded > 0 {
		text = fmt.Sprintf("  %s: downloaded %d modules", took, p.downloaded)
	}
	if p.terminal {
		say(p.out, "\r%s\x1b[K", text) // to the line's start, and clear what is longer
		return
	}
	say(p.out, "%s\n", text)
}

// end stops telling and says how long the build took.
func (p *buildProgress) end() time.Duration {
	close(p.stop)
	<-p.stopped
	if p.terminal {
		say(p.out, "\r\x1b[K")
	}
	return time.Since(p.start).Round(time.Second)
}

// complaint is what the go command said last, for the error message.
func (p *buildProgress) complaint() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.other, "\n")
}

// isTerminal tells whether somebody watches, as opposed to a file or a pipe.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
