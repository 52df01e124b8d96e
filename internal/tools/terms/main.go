// Command terms counts the words that docs/terms.md replaces, and fails when there are more than the budget.
//
//	go run -C internal/tools ./terms -repo ../.. -budget 30
//
// It reads the files that git knows: code, comments, the specification and the documents. What is generated is left
// out, since its source is counted.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	list    = "docs/terms.md"
	allowed = "allowed"
)

func main() {
	repo := flag.String("repo", ".", "the checkout")
	budget := flag.Int("budget", 30, "most hits")
	flag.Parse()
	if err := run(context.Background(), *repo, *budget, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "terms:", err)
		os.Exit(1)
	}
}

// run writes each hit as file:line, then the count of each term and of all; more than the budget is an error.
func run(ctx context.Context, repo string, budget int, out io.Writer) error {
	text, err := os.ReadFile(filepath.Join(repo, list))
	if err != nil {
		return fmt.Errorf("read the list: %w", err)
	}
	terms, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	files, err := tracked(ctx, repo)
	if err != nil {
		return err
	}
	total := 0
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(repo, file))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, not committed
		}
		if err != nil {
			return fmt.Errorf("read a tracked file: %w", err)
		}
		total += count(terms, file, content, out)
	}
	fmt.Fprintln(out)
	for _, t := range terms {
		if t.hits > 0 {
			fmt.Fprintf(out, "%6d  %s (use: %s)\n", t.hits, t.pattern, t.use)
		}
	}
	fmt.Fprintf(out, "%6d  in all, of %d\n", total, budget)
	if total > budget {
		return fmt.Errorf("%d hits, the budget is %d: use the terms of %s", total, budget, list)
	}
	return nil
}

// term is a line of the list.
type term struct {
	pattern, use string // use "allowed" keeps the pattern's text from being counted for other terms
	match        *regexp.Regexp
	hits         int
}

var columns = regexp.MustCompile(`^(.+?)\s{2,}(\S.*)$`)

// parse reads the list: the lines of the block that begins with ```terms.
func parse(text string) ([]*term, error) {
	_, rest, ok := strings.Cut(text, "\n```terms\n")
	block, _, end := strings.Cut(rest, "\n```")
	if !ok || !end {
		return nil, errors.New("has no block ```terms")
	}
	var terms []*term
	for _, line := range strings.Split(block, "\n") {
		row := columns.FindStringSubmatch(line)
		if row == nil {
			return nil, fmt.Errorf("%q is not a pattern, two spaces and what to use", line)
		}
		match, err := regexp.Compile(`(?i)\b(?:` + row[1] + `)\b`)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", row[1], err)
		}
		terms = append(terms, &term{pattern: row[1], use: row[2], match: match})
	}
	return terms, nil
}

// read are the kinds of files that are counted.
var read = []string{".go", ".ts", ".tsx", ".mjs", ".js", ".yaml", ".yml", ".md", ".html", ".tpl", ".tmpl", ".sh", ".txt", ".lua", ".alloy", ".conf", ".cfg"}

// counted tells whether a file is somebody's own words.
func counted(file string) bool {
	switch {
	case file == "Makefile" || file == "deploy/Dockerfile" || file == "deploy/grafana/logfence.json":
		return true
	case !slices.Contains(read, filepath.Ext(file)) || file == list || file == "openapi.yaml":
		return false
	case strings.HasPrefix(file, "gen/"): // all but the hand-written parts of the client
		return strings.HasPrefix(file, "gen/typescript/") && !strings.Contains(file, "/src/gen/")
	default: // copies for the chart; the tests of this program
		return !strings.HasPrefix(file, "deploy/chart/files/") && !strings.HasPrefix(file, "internal/tools/terms/")
	}
}

func tracked(ctx context.Context, repo string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "git", "-C", repo, "ls-files", "-z").Output()
	if err != nil {
		return nil, fmt.Errorf("list the files: %w", err)
	}
	files := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	return slices.DeleteFunc(files, func(file string) bool { return !counted(file) }), nil
}

// count writes the hits of one file and returns their number.
func count(terms []*term, file string, content []byte, out io.Writer) (hits int) {
	number := 0
	for line := range bytes.Lines(content) {
		number++
		for _, t := range terms {
			if t.use == allowed {
				line = t.match.ReplaceAll(line, nil)
			}
		}
		for _, t := range terms {
			if t.use == allowed {
				continue
			}
			for _, found := range t.match.FindAll(line, -1) {
				fmt.Fprintf(out, "%s:%d: %s (use: %s)\n", file, number, found, t.use)
				t.hits++
				hits++
			}
		}
	}
	return hits
}
