package tenancy

import (
	"fmt"
	"maps"
	template "text/template/parse"

	"github.com/grafana/loki/v3/pkg/logql/log"
	"github.com/grafana/loki/v3/pkg/logql/syntax"
)

// Bounds of templates (line_format, label_format), which Loki runs for each line.
const (
	// maxTemplateCount bounds repeat, alignLeft, indent and the like, and widths of printf.
	maxTemplateCount = 1024
	// maxTemplateGrowth bounds what the templates of a pipeline make of one line, in lines of its own
	// length: `{{.a}}{{.a}}`, written again into another label, doubles each time.
	maxTemplateGrowth = 4096
	// maxTemplateRegexps is what the regular expressions of all templates of a query may cost together, which
	// are compiled for each line; in microseconds.
	maxTemplateRegexps = 500
	// templateTurns is about how often a {{range}} goes over something as long as the line.
	templateTurns = 50
)

// templateError is a template that is not on the list of what is taken. The message is for the caller.
type templateError struct {
	message  string
	template string
}

func (e *templateError) Error() string { return e.message }

func templateErrorf(format string, args ...any) error {
	return &templateError{message: fmt.Sprintf(format, args...)}
}

// checkTemplates holds the templates of an expression against the list of what is taken, and refuses with an
// [*UnsupportedError]. A template that does not parse here does not parse in Loki, which reports it.
func checkTemplates(text string, e syntax.Expr) error {
	var (
		refused *templateError
		regexps float64
	)
	e.Walk(func(e syntax.Expr) bool {
		if p, ok := e.(*syntax.PipelineExpr); ok && refused == nil {
			refused = checkPipeline(p, &regexps)
		}
		return refused == nil
	})
	if refused == nil {
		return nil
	}
	err := &UnsupportedError{Reason: refused.message}
	if at := findString(text, refused.template, behindTemplate); at >= 0 {
		err.Line, err.Column = positionOf(text, at)
	}
	return err
}

// behindTemplate is findString's for templates: `line_format`, and a label to format.
func behindTemplate(last, before rune) bool {
	return last == syntax.Ident || last == '=' && before == syntax.Ident
}

// growths are about how long labels and the line are, in times of the line that was read. What is not in it
// is no longer than that.
type growths map[string]float64

// lineKey is the line itself, which is no label's name.
const lineKey = "\x00line"

func (g growths) of(name string) float64 {
	if n, ok := g[name]; ok {
		return n
	}
	return 1
}

// pipeline is what is known of a pipeline after some of its stages.
type pipeline struct {
	growths
	regexps *float64 // what the regular expressions of templates cost so far, in all of the query
}

func checkPipeline(p *syntax.PipelineExpr, regexps *float64) *templateError {
	g := pipeline{growths: growths{}, regexps: regexps}
	for _, stage := range p.MultiStages {
		switch stage := stage.(type) {
		case *syntax.LineFmtExpr:
			if err := g.assign("line_format", lineKey, stage.Value); err != nil {
				return err
			}
		case *syntax.LabelFmtExpr:
			if err := g.labels(stage.Formats); err != nil {
				return err
			}
		case *syntax.LineParserExpr, *syntax.LogfmtParserExpr, *syntax.JSONExpressionParserExpr, *syntax.LogfmtExpressionParserExpr:
			g.parsed()
		}
	}
	return nil
}

// parsed is after a parser of the line: any label may be as long as the line is by now.
func (g growths) parsed() {
	if n := g.of(lineKey); n > 1 {
		g["*"] = max(g["*"], n)
	}
}

func (g pipeline) labels(formats []log.LabelFmt) *templateError {
	for _, f := range formats {
		if f.Rename {
			g.growths[f.Name] = g.label(f.Value)
			continue
		}
		if err := g.assign("label_format", f.Name, f.Value); err != nil {
			return err
		}
	}
	return nil
}

func (g growths) label(name string) float64 { return max(g.of(name), g["*"]) }

// assign checks a template, and keeps how long what it makes is.
func (g pipeline) assign(stage, name, text string) *templateError {
	tree := template.New(stage)
	tree.Mode = template.SkipFuncCheck
	defined := map[string]*template.Tree{}
	if _, err := tree.Parse(text, "", "", defined); err != nil {
		return nil //nolint:nilerr // Loki's own parser refuses it, with its words
	}
	refuse := func(format string, args ...any) *templateError {
		return &templateError{message: "the template of " + stage + " " + fmt.Sprintf(format, args...), template: text}
	}
	if len(defined) > 1 {
		return refuse("has a {{define}} or {{block}}; write the template without it")
	}
	c := &templateCheck{labels: g.growths, regexps: g.regexps, variables: map[string]variable{}}
	length, err := c.list(tree.Root)
	if err != nil {
		return refuse("%s", err.Error())
	}
	if length > maxTemplateGrowth {
		return refuse("makes a line more than %d times as long as it was; write fewer repetitions", maxTemplateGrowth)
	}
	g.growths[name] = length
	return nil
}

// templateCheck walks one template. Lengths are in times of the line that was read, and upper bounds.
type templateCheck struct {
	labels    growths
	regexps   *float64
	variables map[string]variable
	inRange   bool
}

// variable is what is known of a variable, or of any value.
type variable struct {
	length   float64
	constant string // of a string or a number
	isConst  bool
}

const charLength = 0.01 // a constant character, beside a line of about a hundred

func (c *templateCheck) list(l *template.ListNode) (length float64, err error) {
	if l == nil {
		return 0, nil
	}
	for _, n := range l.Nodes {
		more, err := c.node(n)
		if err != nil {
			return 0, err
		}
		length += more
	}
	return length, nil
}

func (c *templateCheck) node(n template.Node) (float64, error) {
	switch n := n.(type) {
	case *template.TextNode:
		return charLength * float64(len(n.Text)), nil
	case *template.CommentNode:
		return 0, nil
	case *template.ActionNode:
		v, err := c.pipe(n.Pipe)
		if len(n.Pipe.Decl) > 0 {
			return 0, err
		}
		return v.length, err
	case *template.IfNode:
		return c.branch(&n.BranchNode)
	case *template.WithNode:
		return c.branch(&n.BranchNode)
	case *template.RangeNode:
		return c.rangeOver(n)
	case *template.BreakNode, *template.ContinueNode:
		return 0, nil
	default:
		return 0, templateErrorf("has %.40s, which is not taken; write it without {{template}}", n)
	}
}

// scope begins what ends with {{end}}, and returns what ends it: variables of it are gone then.
func (c *templateCheck) scope() (end func()) {
	outer := maps.Clone(c.variables)
	return func() { c.variables = outer }
}

func (c *templateCheck) branch(b *template.BranchNode) (float64, error) {
	defer c.scope()()
	if _, err := c.pipe(b.Pipe); err != nil {
		return 0, err
	}
	yes, err := c.list(b.List)
	if err != nil {
		return 0, err
	}
	no, err := c.list(b.ElseList)
	return max(yes, no), err
}

// rangeOver takes a field, and the result of fromJson: each is as long as a label of the line. One range in
// another multiplies, and is not taken.
func (c *templateCheck) rangeOver(n *template.RangeNode) (float64, error) {
	if c.inRange {
		return 0, templateErrorf("has a {{range}} in a {{range}}, which is not taken; write one")
	}
	if !isField(n.Pipe) {
		return 0, templateErrorf("has a {{range}} over something else than a field or fromJson; write {{range fromJson .label}}")
	}
	defer c.scope()()
	over, err := c.pipe(n.Pipe)
	if err != nil {
		return 0, err
	}
	c.inRange = true
	defer func() { c.inRange = false }()
	body, err := c.list(n.List)
	if err != nil {
		return 0, err
	}
	otherwise, err := c.list(n.ElseList)
	// Each turn takes at least two characters of what is ranged over, a comma and an element.
	return max(body*max(1, over.length)*templateTurns, otherwise), err
}

func isField(p *template.PipeNode) bool {
	first, last := p.Cmds[0], p.Cmds[len(p.Cmds)-1]
	if f, ok := last.Args[0].(*template.IdentifierNode); ok {
		return f.Ident == "fromJson"
	}
	_, field := first.Args[0].(*template.FieldNode)
	return field && len(p.Cmds) == 1 && len(first.Args) == 1
}

func (c *templateCheck) pipe(p *template.PipeNode) (variable, error) {
	if p.IsAssign {
		return variable{}, templateErrorf("sets a variable a second time, which is not taken; use another name")
	}
	var value *variable
	for _, cmd := range p.Cmds {
		v, err := c.command(cmd, value)
		if err != nil {
			return variable{}, err
		}
		value = &v
	}
	if value == nil {
		return variable{}, templateErrorf("has an empty pipeline, which is not taken")
	}
	for _, d := range p.Decl {
		name := d.Ident[0]
		if _, again := c.variables[name]; again {
			return variable{}, templateErrorf("sets the variable %s a second time, which is not taken; use another name", name)
		}
		c.variables[name] = *value
	}
	return *value, nil
}

// command is a function with its arguments, or a value. What the pipe brings is its last argument.
func (c *templateCheck) command(cmd *template.CommandNode, piped *variable) (variable, error) {
	first, isFunction := cmd.Args[0].(*template.IdentifierNode)
	rest := cmd.Args
	if isFunction {
		rest = rest[1:]
	}
	args := make([]variable, 0, len(rest)+1)
	for _, n := range rest {
		v, err := c.value(n)
		if err != nil {
			return variable{}, err
		}
		args = append(args, v)
	}
	if piped != nil {
		args = append(args, *piped)
	}
	if !isFunction {
		return args[0], nil
	}
	return c.call(first.Ident, args)
}

func (c *templateCheck) value(n template.Node) (variable, error) {
	switch n := n.(type) {
	case *template.FieldNode:
		if c.inRange {
			return variable{length: c.longest()}, nil
		}
		return variable{length: c.labels.label(n.Ident[0])}, nil
	case *template.VariableNode:
		if v, ok := c.variables[n.Ident[0]]; ok && len(n.Ident) == 1 {
			return v, nil
		}
		return variable{length: c.longest()}, nil
	case *template.DotNode:
		return variable{length: c.longest()}, nil
	case *template.StringNode:
		return constant(n.Text), nil
	case *template.NumberNode:
		return constant(n.Text), nil
	case *template.BoolNode, *template.NilNode:
		return variable{length: charLength}, nil
	case *template.PipeNode:
		return c.pipe(n)
	case *template.ChainNode:
		return c.value(n.Node)
	case *template.IdentifierNode: // a function without arguments
		return c.call(n.Ident, nil)
	default:
		return variable{}, templateErrorf("has %.40s, which is not taken", n)
	}
}

func constant(text string) variable {
	return variable{length: charLength * float64(len(text)), constant: text, isConst: true}
}

// longest is how long any label, the line or a variable may be.
func (c *templateCheck) longest() float64 {
	longest := 1.0
	for _, n := range c.labels {
		longest = max(longest, n)
	}
	for _, v := range c.variables {
		longest = max(longest, v.length)
	}
	return longest
}
