// Package compose holds deploy/compose.yaml against the Compose specification.
package compose

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// TestCompose guarantees that deploy/compose.yaml is what Compose takes, by its own loader, that the files
// which it mounts are there, and that nobody but logfence and the collector is in Loki's network.
func TestCompose(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{filepath.Join("..", "..", "..", "deploy", "compose.yaml")}, cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var inner []string
	for name, service := range project.Services {
		for _, v := range service.Volumes {
			if v.Type == types.VolumeTypeBind {
				if info, err := os.Stat(v.Source); err != nil || !info.Mode().IsRegular() {
					t.Errorf("%s mounts %s: %v", name, v.Source, err)
				}
			}
		}
		if _, ok := service.Networks["inner"]; ok {
			inner = append(inner, name)
		}
	}
	slices.Sort(inner)
	if want := []string{"alloy", "logfence", "loki"}; !slices.Equal(inner, want) || !project.Networks["inner"].Internal {
		t.Errorf("in Loki's network are %v, want %v alone", inner, want)
	}
}
