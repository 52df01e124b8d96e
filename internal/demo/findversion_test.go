//go:build unix

package demo

import (
	"slices"
	"strings"
	"testing"
)

// TestFindVersion guarantees that a version that was requested is built from its own module and kept beside the others, whatever
// else the machine has, and that one without a module is an error that names those there are.
func TestFindVersion(t *testing.T) {
	l := newLookout(t)
	l.loki(l.bin+"/loki", "3.7.8")
	l.moduleOf("loki-3.1", "3.1.2", "// its build list\n")
	versions, err := Versions()
	if err != nil || !slices.Equal(versions, []string{"3.7.8", "3.1.2"}) {
		t.Errorf("versions: %v, %v", versions, err)
	}
	for i, version := range []string{"3.1.2", "3.7.8", "3.1.2"} {
		found, err := Find(t.Context(), FindOptions{Version: version})
		if err != nil || found.Version != version || !strings.Contains(found.Loki, "loki-"+version+"-") || l.builds() != min(i+1, 2) {
			t.Errorf("%s: %+v after %d builds, %v", version, found, l.builds(), err)
		}
	}
	for _, unknown := range []string{"3.1", "v3.1.2", "3.9.0"} {
		if found, err := Find(t.Context(), FindOptions{Version: unknown}); err == nil || !strings.Contains(err.Error(), "3.7.8, 3.1.2") {
			t.Errorf("%s: %+v, %v", unknown, found, err)
		}
	}
}
