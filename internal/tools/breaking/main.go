// Command breaking compares openapi.yaml with that of the last release, and fails on a break that the
// CHANGELOG does not name under a new major version.
//
//	go -C internal/tools run ./breaking -repo ../..
//
// What counts as a break is oasdiff's judgement (level ERR); a new major version of 0.y is 0.(y+1).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/oasdiff/oasdiff/checker"
	"github.com/oasdiff/oasdiff/diff"
	"github.com/oasdiff/oasdiff/load"
)

func main() {
	repo := flag.String("repo", ".", "the checkout")
	flag.Parse()
	if err := run(context.Background(), *repo, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "breaking:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, repo string, out io.Writer) error {
	last, err := lastRelease(ctx, repo)
	if err != nil {
		return err
	}
	if last == "" {
		fmt.Fprintln(out, "no release yet: there is nothing to compare openapi.yaml with")
		return nil
	}
	released, err := git(ctx, repo, "show", last+":openapi.yaml")
	if err != nil {
		return fmt.Errorf("read the released openapi.yaml: %w", err)
	}
	now, err := os.ReadFile(filepath.Join(repo, "openapi.yaml"))
	if err != nil {
		return err
	}
	breaks, err := compare([]byte(released), now)
	if err != nil || len(breaks) == 0 {
		if err == nil {
			fmt.Fprintf(out, "openapi.yaml keeps what %s promised\n", last)
		}
		return err
	}
	changelog, err := os.ReadFile(filepath.Join(repo, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	return unnamed(breaks, last, string(changelog))
}

// lastRelease is the newest tag of a version before here, "" where there is none.
func lastRelease(ctx context.Context, repo string) (string, error) {
	tags, err := git(ctx, repo, "tag", "--list", "v[0-9]*", "--merged", "HEAD", "--sort=-version:refname")
	if err != nil {
		return "", err
	}
	last, _, _ := strings.Cut(tags, "\n")
	return last, nil
}

func git(ctx context.Context, repo string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", repo}, args...)...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("git %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}

// a broken is one break.
type broken struct{ operation, text string }

func compare(released, now []byte) ([]broken, error) {
	before, err := load.NewSpecInfoFromData(openapi3.NewLoader(), released, "released")
	if err != nil {
		return nil, fmt.Errorf("released openapi.yaml: %w", err)
	}
	after, err := load.NewSpecInfoFromData(openapi3.NewLoader(), now, "openapi.yaml")
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	d, sources, err := diff.GetWithOperationsSourcesMap(diff.NewConfig(), before, after)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	changes := checker.CheckBackwardCompatibilityUntilLevel(checker.NewConfig(checker.GetAllChecks()), d, sources, checker.ERR)
	var found []broken
	for _, c := range changes {
		found = append(found, broken{
			operation: strings.TrimSpace(c.GetOperation() + " " + c.GetPath()),
			text:      c.GetUncolorizedText(checker.NewDefaultLocalizer()),
		})
	}
	return found, nil
}

var version = regexp.MustCompile(`^v(\d+)\.(\d+)\.`)

// unnamed is the error of those breaks that the CHANGELOG does not name.
func unnamed(breaks []broken, last, changelog string) error {
	m := version.FindStringSubmatch(last)
	if m == nil {
		return fmt.Errorf("the tag %s is no version", last)
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	next := fmt.Sprintf("%d.0.0", major+1)
	if major == 0 {
		next = fmt.Sprintf("0.%d.0", minor+1)
	}
	section := sectionOf(changelog, next)
	var errs []error
	for _, b := range breaks {
		if !strings.Contains(section, b.operation) {
			errs = append(errs, fmt.Errorf("%s: %s", b.operation, b.text))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("openapi.yaml breaks what %s promised; keep it, or name each operation in CHANGELOG.md under \"## [%s]\":\n%w",
		last, next, errors.Join(errs...))
}

// sectionOf is the text of a version's section.
func sectionOf(changelog, v string) string {
	_, rest, ok := strings.Cut(changelog, "\n## ["+v+"]")
	if !ok {
		return ""
	}
	section, _, _ := strings.Cut(rest, "\n## [")
	return section
}
