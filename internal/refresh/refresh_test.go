package refresh_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/logfence/logfence/internal/refresh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const every = time.Second

// followed is a file's value and what was reported of it.
type followed struct {
	*refresh.Value[string]

	mu      sync.Mutex
	reports []string
}

// text takes any text that does not hold "bad".
func text(content []byte) (string, error) {
	if bytes.Contains(content, []byte("bad")) {
		return "", errors.New("holds what is bad")
	}
	return string(content), nil
}

func follow(t *testing.T, path string) *followed {
	t.Helper()
	f := &followed{}
	v, err := refresh.File(path, text, refresh.Options{Interval: every, OnChange: f.report})
	if err != nil {
		t.Fatal(err)
	}
	f.Value = v
	return f
}

func (f *followed) report(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reports = append(f.reports, fmt.Sprint(err))
}

// look lets the time of one look pass.
func look() {
	<-time.After(every)
	synctest.Wait()
}

func (f *followed) want(t *testing.T, value string, reports ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := f.Get(); got != value {
		t.Errorf("value %q, want %q", got, value)
	}
	if strings.Join(f.reports, "\n") != strings.Join(reports, "\n") {
		t.Errorf("reported %q, want %q", f.reports, reports)
	}
	f.reports = nil
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFileFollows guarantees that a new content is in force after two looks, whichever way it got
// there, and that a bad one leaves the old in force and is reported once.
func TestFileFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		write(t, path, "one")
		f := follow(t, path)
		defer f.Close()
		f.want(t, "one")

		write(t, path, "two")
		look()
		f.want(t, "one") // it might still be being written
		look()
		f.want(t, "two", "<nil>")

		write(t, path, "bad")
		look()
		look()
		f.want(t, "two", path+": holds what is bad")
		if err := f.Err(); err == nil {
			t.Error("no error is told while the file is bad")
		}
		look()
		f.want(t, "two") // said once

		write(t, path, "two")
		look()
		look()
		f.want(t, "two", "<nil>") // good again, and that is said
		if err := f.Err(); err != nil {
			t.Error(err)
		}

		write(t, path+".new", "renamed")
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		look()
		look()
		f.want(t, "renamed", "<nil>")

		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		look()
		look()
		f.want(t, "renamed", "stat "+path+": no such file or directory")
	})
}

// TestFileHalfWritten guarantees that a file in the writing is not taken, however well it parses.
func TestFileHalfWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		write(t, path, "tenants: [a, b]")
		f := follow(t, path)
		defer f.Close()
		write(t, path, "")
		look()
		write(t, path, "tenants: [a")
		look()
		write(t, path, "tenants: [a, b, c]")
		look()
		f.want(t, "tenants: [a, b]")
		look()
		f.want(t, "tenants: [a, b, c]", "<nil>")
	})
}

// TestFileKubernetes guarantees that files mounted from a ConfigMap or a Secret are followed: the name
// is a link into ..data, which is itself a link that is swapped.
func TestFileKubernetes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		version := func(name, content string) {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, name, "file"), content)
			link(t, name, filepath.Join(dir, "..data_tmp"))
			if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
				t.Fatal(err)
			}
		}
		version("..one", "one")
		link(t, filepath.Join("..data", "file"), filepath.Join(dir, "file"))
		f := follow(t, filepath.Join(dir, "file"))
		defer f.Close()
		f.want(t, "one")
		version("..two", "two")
		look()
		look()
		f.want(t, "two", "<nil>")
	})
}

func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

// TestFilesTogether guarantees that files which make one value are taken together or not at all.
func TestFilesTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		write(t, a, "1")
		write(t, b, "1")
		var last atomic.Value
		pair := func(contents [][]byte) (string, error) {
			if !bytes.Equal(contents[0], contents[1]) {
				return "", errors.New("do not belong together")
			}
			return string(contents[0]), nil
		}
		v, err := refresh.Files([]string{a, b}, pair, refresh.Options{Interval: every, OnChange: func(err error) { last.Store(fmt.Sprint(err)) }})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		write(t, a, "2")
		look()
		look()
		if got, want := last.Load(), a+" and "+b+": do not belong together"; v.Get() != "1" || got != want {
			t.Errorf("a half-renewed pair: value %s, reported %v, want %s", v.Get(), got, want)
		}
		write(t, b, "2")
		look()
		look()
		if got := last.Load(); v.Get() != "2" || got != "<nil>" {
			t.Errorf("a renewed pair: value %s, reported %v", v.Get(), got)
		}
	})
}

// TestReload guarantees that a reload by an operator takes effect at once, and returns whether the value is new or not.
func TestReload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		write(t, path, "one")
		f := follow(t, path)
		defer f.Close()
		write(t, path, "two")
		if err := f.Reload(); err != nil {
			t.Fatal(err)
		}
		f.want(t, "two", "<nil>")
		write(t, path, "bad")
		for range 2 {
			if err := f.Reload(); err == nil {
				t.Error("a bad file is reloaded without an error")
			}
		}
		f.want(t, "two", path+": holds what is bad", path+": holds what is bad")
		look()
		look()
		f.want(t, "two")
	})
}

// TestFileAtStart guarantees that what is wrong at start is an error then.
func TestFileAtStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad, large := filepath.Join(dir, "bad"), filepath.Join(dir, "large")
	write(t, bad, "bad")
	write(t, large, strings.Repeat("x", 4<<20+1))
	for _, tt := range []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "missing"), "stat " + filepath.Join(dir, "missing") + ": no such file or directory"},
		{"wrong", bad, bad + ": holds what is bad"},
		{"endless", large, "read " + large + ": has more than 4194304 bytes; is it the right file?"},
		// Opening a pipe, or a folder by another's mistake, is not to be tried.
		{"no file", dir, dir + " is no regular file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := refresh.File(tt.path, text, refresh.Options{}); err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}
