package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const (
	// lokiPackages is about how many packages Loki and logcli are made of.
	lokiPackages = 2160
	lokiName     = "loki"
	logcliName   = "logcli"
	// progressPause is how long a build may say nothing.
	progressPause = 15 * time.Second
)

// build makes Loki and logcli and puts them at home, a folder in the cache. Whatever is found at home is
// complete: the binaries are built beside it, and the folder is renamed when both are there.
//
// The lock is there because go's cache has none for what is being compiled: two processes that start at the
// same time would each spend the same minutes.
func build(ctx context.Context, r recipe, home string, progress io.Writer) error {
	if runtime.GOOS == "windows" {
		return errors.New("building Loki needs a Unix system: set " + EnvLoki + " to a Loki of your own")
	}
	if err := os.MkdirAll(filepath.Dir(home), 0o750); err != nil {
		return fmt.Errorf("make the cache folder for Loki: %w", err)
	}
	lock := flock.New(home + ".lock")
	locked, err := lock.TryLock()
	if err == nil && !locked {
		say(progress, "Another process is building Loki; waiting for it.\n")
		_, err = lock.TryLockContext(ctx, 200*time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("wait for another build of Loki: %w", err)
	}
	defer lock.Close() //nolint:errcheck // the system unlocks what is closed
	if isBuilt(home) {
		return nil // while we waited
	}

	// What is there under the lock is of a build that was killed.
	building := home + ".building"
	for _, dir := range []string{building, home} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove an unfinished build of Loki: %w", err)
		}
	}
	defer os.RemoveAll(building) //nolint:errcheck // the next build removes it
	if err := os.Mkdir(building, 0o750); err != nil {
		return fmt.Errorf("make a folder to build Loki in: %w", err)
	}
	if err := goBuild(ctx, r, building, progress); err != nil {
		return fmt.Errorf("build Loki %s: %w", r.version, err)
	}
	if err := os.Rename(building, home); err != nil {
		return fmt.Errorf("keep the built Loki: %w", err)
	}
	return nil
}

func isBuilt(home string) bool {
	return isFile(filepath.Join(home, lokiName)) && isFile(filepath.Join(home, logcliName))
}

// goBuild builds the tools of the module into dir. It ends with ctx, and all processes that it started with it.
func goBuild(ctx context.Context, r recipe, dir string, progress io.Writer) error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("%w (%w)", ErrNoLoki, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-v", "-trimpath", //nolint:noctx,gosec // ends with ctx below, by its process group; nothing in it is from outside
		"-ldflags=-s -w -X github.com/grafana/loki/v3/pkg/util/build.Version="+r.version,
		"-o", dir+string(filepath.Separator), "tool")
	cmd.Dir = r.module
	// For this machine and from this module alone, whatever the caller is set to build.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOTMPDIR="+dir,
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "PWD="+r.module)
	cmd.WaitDelay = 5 * time.Second
	output, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w

	say(progress, "Building Loki %s, once: about five minutes, kept in %s.\n", r.version, filepath.Dir(dir))
	began := time.Now()
	c, err := startChild(cmd)
	if err != nil {
		return err
	}
	unwatch := context.AfterFunc(ctx, func() {
		c.stop(os.Interrupt, 10*time.Second) // the go command stops its compilers on an interrupt
	})
	defer unwatch()
	go func() {
		<-c.done
		_ = w.Close()
	}()
	said := follow(output, func(b *buildOutput) {
		say(progress, "  %s: %s\n", time.Since(began).Round(time.Second), b)
	})
	<-c.done
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.err != nil {
		return fmt.Errorf("go build in %s: %w\n%s", r.module, c.err, strings.Join(said.other, "\n"))
	}
	say(progress, "Built Loki %s in %s.\n", r.version, time.Since(began).Round(time.Second))
	return nil
}

// buildOutput is what `go build -v` has written: a line for each package compiled, a line for each module
// downloaded, and the rest is errors.
type buildOutput struct {
	compiled, downloaded int
	other                []string // the last lines
}

// follow reads the output to its end, and reports from time to time how far the build is.
func follow(output *io.PipeReader, report func(*buildOutput)) *buildOutput {
	lines := make(chan string)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(output)
		for s.Scan() {
			lines <- s.Text()
		}
		_ = output.CloseWithError(s.Err())
	}()
	tick := time.NewTicker(progressPause)
	defer tick.Stop()
	b := &buildOutput{}
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return b
			}
			b.add(line)
		case <-tick.C:
			report(b)
		}
	}
}

func (b *buildOutput) add(line string) {
	const kept = 40
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		b.downloaded++
	case line != "" && !strings.ContainsAny(line, " \t:"):
		b.compiled++
	default:
		b.other = append(b.other, line)
		b.other = b.other[max(0, len(b.other)-kept):]
	}
}

func (b *buildOutput) String() string {
	if b.compiled == 0 && b.downloaded > 0 {
		return fmt.Sprintf("downloaded %d modules", b.downloaded)
	}
	return fmt.Sprintf("compiled %d of about %d packages", b.compiled, lokiPackages)
}
