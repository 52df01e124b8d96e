package web

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/logfence/logfence/internal/fielderror"
)

// Links are rules by which the log explorer makes links of what lines hold. Each is FIELD=TEMPLATE or
// /REGEXP/=TEMPLATE, where a template is an https URL with a literal host, and {value} or, of a regular expression, {1}
// to {9} in its path, query or fragment stand for the percent-encoded value, match or group.
//
// Values come from log lines, which strangers write. So the host is literal, and what a regular expression may repeat
// is bounded: the browser's engine goes back, and a line must not hang the page.
type Links []string

const (
	maxLinks      = 50
	maxLinkLength = 2000
	maxPattern    = 500
)

var (
	linkField  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	linkHost   = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?$`)
	linkText   = regexp.MustCompile(`^[A-Za-z0-9._~:/?#@!$&'()*+,;=%{}|-]*$`)
	linkHole   = regexp.MustCompile(`\{[^{}]*\}`)
	noHole     = regexp.MustCompile(`[{}]`)
	unbounded  = regexp.MustCompile(`[*+]|\{\d+,`)
	maxUnbound = 2
	// linkPattern is what simplePattern of the explorer's highlights.ts takes: groups that are not repeated, and single
	// characters, escapes and classes that may be.
	linkPattern = regexp.MustCompile(`^(?:\(\?i\))?(?:\((?:\?:|\?P?<\w+>)?|\)|\||` +
		`(?:\\[dDwWsSbBnrtf.+*?()|[\]{}^$\\/"'=:;,<>@#%&!~` + "\x60" + `_ -]|` +
		`\[\^?(?:\\[dDwWsSnrt.\]\\^[-]|[^\]\\[])+\]|[^\\^$.|?*+()[\]{}]|\.|[\^$])` +
		`(?:(?:[*+?]|\{\d{1,3}(?:,(?:\d{1,3})?)?\})\??)?)*$`)
)

// Validate reports all mistakes at once, each with the index of its rule.
func (l Links) Validate() error {
	var errs []error
	if len(l) > maxLinks {
		errs = append(errs, fielderror.New("", "%d rules; at most %d are allowed", len(l), maxLinks))
	}
	for i, rule := range l {
		if problem := linkProblem(rule); problem != "" {
			errs = append(errs, fielderror.New("["+strconv.Itoa(i)+"]", "%q %s", rule, problem))
		}
	}
	return errors.Join(errs...)
}

// linkProblem says what is wrong with a rule; empty: nothing.
func linkProblem(rule string) string {
	if len(rule) > maxLinkLength {
		return "is too long; at most 2,000 bytes are allowed"
	}
	var source, template string
	groups := 0
	if rest, ok := strings.CutPrefix(rule, "/"); ok {
		if source, template, ok = strings.Cut(rest, "/=https://"); !ok {
			return "is not /REGEXP/=TEMPLATE with a template that begins with https://"
		}
		pattern, err := regexp.Compile(source)
		switch {
		case err != nil:
			return "has a regular expression that cannot be read: " + err.Error()
		case source == "" || len(source) > maxPattern || !linkPattern.MatchString(source) || len(unbounded.FindAllString(source, -1)) > maxUnbound:
			return "has a regular expression that is not simple: it may repeat single characters and classes, two of them without a bound, and no groups"
		}
		groups = pattern.NumSubexp()
	} else {
		var ok bool
		if source, template, ok = strings.Cut(rule, "=https://"); !ok || !linkField.MatchString(source) {
			return "is not FIELD=TEMPLATE with a template that begins with https://"
		}
	}
	return templateProblem(template, groups)
}

// templateProblem says what is wrong with a template, of which https:// is taken away.
func templateProblem(template string, groups int) string {
	end := strings.IndexAny(template, "/?#")
	if end < 0 || !linkHost.MatchString(template[:end]) {
		return "needs a literal host, and a / after it"
	}
	if !linkText.MatchString(template) {
		return "has a character that is none of a URL; percent-encode it"
	}
	holes := linkHole.FindAllString(template, -1)
	if len(holes) == 0 {
		return "has no {value} to replace"
	}
	for _, hole := range holes {
		n, err := strconv.Atoi(hole[1 : len(hole)-1])
		if hole != "{value}" && (err != nil || n < 1 || n > min(groups, 9)) {
			return "has " + hole + ", which is neither {value} nor a group of its regular expression"
		}
	}
	filled := linkHole.ReplaceAllString(template, "x")
	if u, err := url.Parse("https://" + filled); err != nil || noHole.MatchString(filled) || u.Host != template[:end] {
		return "is not a URL"
	}
	return ""
}
