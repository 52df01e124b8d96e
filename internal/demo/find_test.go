//go:build unix

package demo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A lookout is a machine of its own to look for Loki on: a PATH, a cache folder and a checkout.
type lookout struct {
	t                    *testing.T
	bin, cache, checkout string
	log                  string // a line for each run of the fake go command
}

func newLookout(t *testing.T) *lookout {
	t.Helper()
	root := t.TempDir()
	l := &lookout{
		t: t, bin: filepath.Join(root, "bin"), cache: filepath.Join(root, "cache"),
		checkout: filepath.Join(root, "checkout"), log: filepath.Join(root, "go.log"),
	}
	for _, dir := range []string{l.bin, l.cache, filepath.Join(l.checkout, "cmd", "deep")} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	l.write(filepath.Join(l.checkout, "go.mod"), "module github.com/logfence/logfence\n\ngo 1.26.5\n", 0o600)
	l.module("// a build list\n")
	t.Setenv("PATH", l.bin+":/usr/bin:/bin")
	t.Setenv("XDG_CACHE_HOME", l.cache)
	t.Setenv("HOME", l.cache)
	t.Setenv(EnvLoki, "")
	t.Setenv("GO_LOG", l.log)
	t.Chdir(filepath.Join(l.checkout, "cmd", "deep"))
	l.fakeGo(goodBuild)
	return l
}

func (l *lookout) write(path, text string, mode os.FileMode) {
	l.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		l.t.Fatal(err)
	}
}

// module writes the module that builds Loki.
func (l *lookout) module(sum string) { l.t.Helper(); l.moduleOf("loki", "3.7.8", sum) }

func (l *lookout) moduleOf(name, version, sum string) {
	l.t.Helper()
	dir := filepath.Join(l.checkout, "internal", "tools", name)
	l.write(filepath.Join(dir, "go.mod"), "module x\n\nrequire (\n\tgithub.com/grafana/loki/v3 v"+version+" // indirect\n)\n", 0o600)
	l.write(filepath.Join(dir, "go.sum"), sum, 0o600)
}

// script puts a program at a path.
func (l *lookout) script(path, text string) string {
	l.t.Helper()
	l.write(path, "#!/bin/sh\n"+text, 0o755)
	return path
}

// loki puts a program at a path that says to be Grafana Loki.
func (l *lookout) loki(path, version string) string {
	l.t.Helper()
	return l.script(path, `echo "loki, version `+version+` (branch: main, revision: abc)"`)
}

// goodBuild is a go command that builds at once; badBuild one that fails half-way.
const (
	findOut = `echo run >> "$GO_LOG"
while [ "$1" != -o ]; do shift; done
out=$2
`
	goodBuild = findOut + `echo loki > "$out/loki"; echo logcli > "$out/logcli"`
	badBuild  = findOut + `echo half > "$out/loki"
echo "go: downloading example.com/a v1.0.0" >&2
echo example.com/a/b >&2
echo "a.go:1:2: undefined: frobnicate" >&2
exit 1`
)

func (l *lookout) fakeGo(text string) { l.t.Helper(); l.script(filepath.Join(l.bin, "go"), text) }

// builds is how often the go command was run.
func (l *lookout) builds() int {
	text, err := os.ReadFile(l.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		l.t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// kept lists what is in the cache folder, lock files apart.
func (l *lookout) kept() []string {
	l.t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		l.t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(base, "logfence", "*"))
	if err != nil {
		l.t.Fatal(err)
	}
	var names []string
	for _, path := range all {
		if !strings.HasSuffix(path, ".lock") {
			names = append(names, filepath.Base(path))
		}
	}
	return names
}

// TestFindOrder guarantees where a Loki is taken from, and what is not taken for Loki.
func TestFindOrder(t *testing.T) {
	const built = "cache"
	for _, tt := range []struct {
		name  string
		given func(l *lookout) string // what is put where; the path given, if one is
		want  string                  // the end of the path found; "" for an error
		text  string                  // in the error or in what is told
	}{
		{"on PATH", func(l *lookout) string { l.loki(l.bin+"/loki", "3.7.8"); return "" }, "bin/loki", ""},
		{"on PATH, the oldest that will do", func(l *lookout) string { l.loki(l.bin+"/loki", "3.1.0"); return "" }, "bin/loki", ""},
		{"on PATH, of a later major version", func(l *lookout) string { l.loki(l.bin+"/loki", "v4.0.0-rc.1"); return "" }, "bin/loki", ""},
		// Label names are not confined by a query before 3.1.
		{"on PATH, too old", func(l *lookout) string { l.loki(l.bin+"/loki", "3.0.1"); return "" }, built, "needs 3.1"},
		{"on PATH, much too old", func(l *lookout) string { l.loki(l.bin+"/loki", "2.9.10"); return "" }, built, "needs 3.1"},
		{"on PATH, without a version", func(l *lookout) string { l.loki(l.bin+"/loki", ""); return "" }, built, "not Grafana Loki"},
		// Debian's loki computes likelihoods of genetic linkage.
		{"on PATH, another program", func(l *lookout) string {
			l.script(l.bin+"/loki", "echo 'LOKI version 2.4.7'")
			return ""
		}, built, "not Grafana Loki"},
		{"on PATH, one that fails", func(l *lookout) string { l.script(l.bin+"/loki", "exit 3"); return "" }, built, "exit status 3"},
		{"nowhere", func(*lookout) string { return "" }, built, "Building Loki 3.7.8"},
		{"given, before PATH", func(l *lookout) string {
			l.loki(l.bin+"/loki", "3.7.8")
			return l.loki(l.cache+"/mine", "3.5.0")
		}, "cache/mine", ""},
		{"given as a relative path", func(l *lookout) string { l.loki("mine/loki", "3.7.8"); return "mine/loki" }, "checkout/cmd/deep/mine/loki", ""},
		// What was named explicitly is never replaced by something else.
		{"given and not there", func(l *lookout) string { l.loki(l.bin+"/loki", "3.7.8"); return "/no/such/loki" }, "", EnvLoki},
		{"given and too old", func(l *lookout) string {
			l.loki(l.bin+"/loki", "3.7.8")
			return l.loki(l.cache+"/mine", "2.9.0")
		}, "", "needs 3.1"},
		{"given and not a program", func(l *lookout) string { l.write(l.cache+"/mine", "x", 0o600); return l.cache + "/mine" }, "", EnvLoki},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLookout(t)
			t.Setenv(EnvLoki, tt.given(l))
			var told bytes.Buffer
			found, err := Find(t.Context(), FindOptions{Progress: &told})
			if tt.want == "" {
				if err == nil || !strings.Contains(err.Error(), tt.text) {
					t.Fatalf("got %+v, error %v; want an error with %q", found, err, tt.text)
				}
				if l.builds() != 0 {
					t.Error("it was built")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(found.Loki, "/"+tt.want) || (tt.want == built) != (l.builds() == 1) {
				t.Errorf("found %s after %d builds, want %s", found.Loki, l.builds(), tt.want)
			}
			if !strings.Contains(told.String(), tt.text) {
				t.Errorf("told %q, want it to have %q", told.String(), tt.text)
			}
		})
	}
}

// TestFindBuildsOnce guarantees that a build is kept until what it is made of changes, and that
// leftovers of a killed build are cleared away.
func TestFindBuildsOnce(t *testing.T) {
	l := newLookout(t)
	find := func(wantBuilds int) string {
		t.Helper()
		found, err := Find(t.Context(), FindOptions{Logcli: true})
		if err != nil {
			t.Fatal(err)
		}
		if !isFile(found.Loki) || !isFile(found.Logcli) || found.Version != "3.7.8" {
			t.Errorf("found %+v, want two files and the version of go.mod", found)
		}
		if l.builds() != wantBuilds {
			t.Errorf("%d builds, want %d", l.builds(), wantBuilds)
		}
		return found.Loki
	}
	first := find(1)
	if again := find(1); again != first {
		t.Errorf("found %s, then %s", first, again)
	}
	l.module("// another build list\n")
	if other := find(2); other == first {
		t.Error("a changed go.sum found the old Loki")
	}

	l.module("// a third\n")
	r, err := recipeOf("")
	if err != nil {
		t.Fatal(err)
	}
	l.write(filepath.Join(filepath.Dir(filepath.Dir(first)), r.key+".building", "loki"), "half", 0o755)
	find(3)
	if kept := l.kept(); len(kept) != 3 {
		t.Errorf("the cache holds %v, want three builds and nothing half-made", kept)
	}
}

// TestFindLogcli guarantees that logcli comes from beside Loki, else from PATH, else from a build, and
// that Loki stays the one that was found.
func TestFindLogcli(t *testing.T) {
	l := newLookout(t)
	mine := l.loki(filepath.Join(l.cache, "mine", "loki"), "3.5.0")
	want := func(logcli string) {
		t.Helper()
		found, err := Find(t.Context(), FindOptions{Loki: mine, Logcli: true})
		if err != nil {
			t.Fatal(err)
		}
		if found.Loki != mine || !strings.Contains(found.Logcli, logcli) {
			t.Errorf("found %+v, want logcli in %s", found, logcli)
		}
	}
	want("cache/logfence/loki-3.7.8-")
	l.script(filepath.Join(l.bin, "logcli"), "")
	want("bin/logcli")
	l.script(filepath.Join(l.cache, "mine", "logcli"), "")
	want("mine/logcli")
}

// TestFindNowhere guarantees that the reader is told what to do where nothing can be built.
func TestFindNowhere(t *testing.T) {
	l := newLookout(t)
	t.Setenv("PATH", "/nowhere")
	if _, err := Find(t.Context(), FindOptions{}); !errors.Is(err, ErrNoLoki) {
		t.Errorf("without a go command: %v, want ErrNoLoki", err)
	}
	t.Chdir(l.cache)
	if _, err := Find(t.Context(), FindOptions{}); !errors.Is(err, ErrNoLoki) {
		t.Errorf("outside a checkout: %v, want ErrNoLoki", err)
	}
	if kept := l.kept(); len(kept) != 0 {
		t.Errorf("left behind: %v", kept)
	}
}

// TestFindFailedBuild guarantees that a build that fails says why, and is not taken the next time.
func TestFindFailedBuild(t *testing.T) {
	l := newLookout(t)
	l.fakeGo(badBuild)
	_, err := Find(t.Context(), FindOptions{})
	if err == nil || !strings.Contains(err.Error(), "undefined: frobnicate") {
		t.Errorf("got error %v, want the compiler's", err)
	}
	if kept := l.kept(); len(kept) != 0 {
		t.Errorf("left behind: %v", kept)
	}
	l.fakeGo(goodBuild)
	if _, err := Find(t.Context(), FindOptions{}); err != nil {
		t.Error(err)
	}
}

// TestFindInterrupted guarantees that a build which is interrupted ends with its children and leaves
// nothing behind.
func TestFindInterrupted(t *testing.T) {
	l := newLookout(t)
	fifo := l.fifo("alive")
	// The go command and its compiler hold the pipe open for as long as they live.
	l.fakeGo(findOut + `echo half > "$out/loki"; exec 3> "` + fifo + `"; echo started >&3; sleep 600; echo survived >&3`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := Find(ctx, FindOptions{})
		ended <- err
	}()

	f, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	if line, err := r.ReadString('\n'); line != "started\n" {
		t.Fatalf("read %q, %v", line, err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) != 0 {
		t.Errorf("the build went on: %q, %v", rest, err)
	}
	if kept := l.kept(); len(kept) != 0 {
		t.Errorf("left behind: %v", kept)
	}
}

func (l *lookout) fifo(name string) string {
	l.t.Helper()
	path := filepath.Join(l.t.TempDir(), name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// TestFindTwoProcesses guarantees that processes which look at the same time build once and find the same.
func TestFindTwoProcesses(t *testing.T) {
	l := newLookout(t)
	release := l.fifo("release")
	l.fakeGo(findOut + `read -r _ < "` + release + `"; echo loki > "$out/loki"; echo logcli > "$out/logcli"`)

	told := make(chan string, 100)
	type process struct {
		cmd *exec.Cmd
		out *bytes.Buffer
	}
	var all []process
	for range 2 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), helperEnv+"=find")
		p := process{cmd, &bytes.Buffer{}}
		cmd.Stdout, cmd.Stderr = p.out, lineWriter(told)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	for text := ""; !strings.Contains(text, "Another process is building"); {
		select {
		case text = <-told:
		case <-time.After(time.Minute):
			t.Fatal("neither of the processes waits for the other")
		}
	}
	if err := os.WriteFile(release, []byte("go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if err := p.cmd.Wait(); err != nil {
			t.Error(err)
		}
		if got, want := p.out.String(), all[0].out.String(); got != want || got == "" {
			t.Errorf("one process found %q, the other %q", got, want)
		}
	}
	if l.builds() != 1 {
		t.Errorf("%d builds, want 1", l.builds())
	}
}

// lineWriter hands on what is written to it.
type lineWriter chan<- string

func (w lineWriter) Write(b []byte) (int, error) { w <- string(b); return len(b), nil }

// TestBuildProgress guarantees what is reported of a build that takes its time.
func TestBuildProgress(t *testing.T) {
	t.Parallel()
	b := &buildOutput{}
	want := func(text string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			b.add(line)
		}
		if b.String() != text {
			t.Errorf("reported %q, want %q", b, text)
		}
	}
	want("compiled 0 of about 2160 packages")
	want("downloaded 2 modules", "go: downloading example.com/a v1.0.0", "go: downloading example.com/b v1.0.0")
	want("compiled 2 of about 2160 packages", "unicode/utf8", "example.com/a/v2", "# example.com/b", "b.go:1:1: broken")
	if got, want := strings.Join(b.other, "\n"), "# example.com/b\nb.go:1:1: broken"; got != want {
		t.Errorf("errors %q, want %q", got, want)
	}
}

// TestFollow guarantees that a build which is silent is reported on all the same, and that its last line
// is read.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output, w := io.Pipe()
		go func() {
			_, _ = io.WriteString(w, "unicode/utf8\nexample.com/")
			time.Sleep(progressPause + time.Second) // the bubble's clock
			_, _ = io.WriteString(w, "a")
			_ = w.Close()
		}()
		var reports []string
		b := follow(output, func(b *buildOutput) { reports = append(reports, b.String()) })
		if want := "compiled 1 of about 2160 packages"; !slices.Equal(reports, []string{want}) {
			t.Errorf("reported %q, want %q once", reports, want)
		}
		if b.compiled != 2 {
			t.Errorf("%d packages, want 2", b.compiled)
		}
	})
}
