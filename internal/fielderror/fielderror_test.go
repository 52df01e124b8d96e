package fielderror

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAll guarantees that each mistake of joined errors is found under its path, in order, and that none is lost.
func TestAll(t *testing.T) {
	t.Parallel()
	inner := errors.Join(New("URL", "%q has no host", "x"), errors.New("no field's"))
	err := errors.Join(New("Timeout", "negative"), Within("Redis", inner), Within("Audit", nil), fmt.Errorf("around: %w", inner))
	var got []string
	for _, e := range All(err) {
		got = append(got, e.Field+" | "+e.Problem.Error())
	}
	want := []string{
		"Timeout | negative", `Redis.URL | "x" has no host`, "Redis | no field's", " | around: URL: \"x\" has no host\nno field's",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("All (-want +got):\n%s", d)
	}
	if All(nil) != nil || Within("a", nil) != nil {
		t.Error("no error became one")
	}
}

// TestError guarantees the text of a mistake, and that its cause is found.
func TestError(t *testing.T) {
	t.Parallel()
	err := New("KeysFile", "cannot be read: %w", fs.ErrNotExist)
	if got, want := err.Error(), "KeysFile: cannot be read: file does not exist"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
	if got := All(fs.ErrNotExist)[0].Error(); got != "file does not exist" {
		t.Errorf("without a field: %q", got)
	}
}
