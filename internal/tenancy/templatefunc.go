package tenancy

import (
	"slices"
	"strconv"
	"strings"
)

// The functions whose arguments decide what they cost. Any other makes at most six bytes of one (urlencode).
var (
	countFunctions  = []string{"repeat", "alignLeft", "alignRight", "indent", "nindent"}
	regexpFunctions = []string{"regexReplaceAll", "regexReplaceAllLiteral", "count"}
)

func (c *templateCheck) call(name string, args []variable) (variable, error) {
	total := 0.0
	for _, a := range args {
		total += a.length
	}
	var err error
	switch {
	case name == "call":
		return variable{}, templateErrorf("calls a value as a function, which is not taken")
	case name == "__line__":
		return variable{length: c.labels.of(lineKey)}, nil
	case slices.Contains(countFunctions, name):
		total, err = counted(name, args, total)
	case name == "printf":
		total, err = printed(args, total)
	case slices.Contains(regexpFunctions, name):
		total, err = c.replaced(name, args)
	case name == "replace" && len(args) > 2:
		total = substituted(args[2], args[0], args[1])
	case name == "Replace" && len(args) > 2:
		total = substituted(args[0], args[1], args[2])
	case slices.Contains([]string{"urlencode", "urlquery", "html", "js", "b64enc"}, name):
		total *= 6
	}
	if err == nil && total > maxTemplateGrowth {
		err = templateErrorf("makes a line more than %d times as long as it was; write fewer repetitions", maxTemplateGrowth)
	}
	return variable{length: total}, err
}

// counted takes repeat and what fills up to a width: the count comes first, and is a constant.
func counted(name string, args []variable, total float64) (float64, error) {
	if len(args) == 0 {
		return total, nil // Loki refuses it
	}
	n, err := strconv.Atoi(args[0].constant)
	if !args[0].isConst || err != nil || n > maxTemplateCount {
		return 0, templateErrorf("has %s with a count that is not a constant up to %d; write such a number", name, maxTemplateCount)
	}
	switch n := float64(max(0, n)); name {
	case "repeat":
		return total * n, nil
	case "indent", "nindent": // for each line of it
		return total * (1 + n), nil
	default:
		return total + n*charLength, nil
	}
}

// printed takes printf: its format is a constant, whose widths are bounded.
func printed(args []variable, total float64) (float64, error) {
	if len(args) == 0 {
		return total, nil
	}
	if !args[0].isConst {
		return 0, templateErrorf("has printf with a format that is not a constant; write it as a string")
	}
	length := total
	for _, verb := range strings.Split(args[0].constant, "%")[1:] {
		width, letter := 0, rune(0)
		for _, r := range strings.TrimLeft(verb, "+-# 0") {
			if r == '*' || r == '[' {
				return 0, templateErrorf("has printf with a width that is not written out; write a number up to %d", maxTemplateCount)
			}
			if r != '.' && (r < '0' || r > '9') {
				letter = r
				break
			}
			if width = width*10 + int(r-'0'); r == '.' {
				width = 0
			}
			if width > maxTemplateCount {
				return 0, templateErrorf("has printf with a width above %d; write a smaller one", maxTemplateCount)
			}
		}
		length += float64(width) * charLength
		if strings.ContainsRune("qxXU", letter) { // up to four bytes of one
			length += 3 * total
		}
	}
	return length, nil
}

// replaced takes the functions of regular expressions: the expression is a constant that is cheap to compile.
func (c *templateCheck) replaced(name string, args []variable) (float64, error) {
	if len(args) == 0 {
		return 0, nil
	}
	if !args[0].isConst {
		return 0, templateErrorf("has %s with an expression that is not a constant; write it as a string", name)
	}
	price := priceRegexp(args[0].constant, useCompile)
	if c.inRange {
		price *= templateTurns
	}
	if *c.regexps += price; *c.regexps > maxTemplateRegexps {
		return 0, templateErrorf("has %s with a regular expression that is expensive to compile, which Loki does for each line; "+
			"write fewer and shorter ones, or use the parser `regexp` before it", name)
	}
	if name == "count" || len(args) < 3 {
		return charLength, nil
	}
	return substituted(args[1], variable{}, args[2]), nil
}

// substituted is how long a text is in which old is replaced by another, as often as it may be in it: between
// any two bytes where it may be empty.
func substituted(text, old, by variable) float64 {
	n := by.length / charLength
	if old.isConst && old.constant != "" {
		return text.length * max(1, n/float64(len(old.constant)))
	}
	return (text.length + charLength) * (1 + n)
}
