package tenancy

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/grafana/loki/v3/pkg/logql/log"
	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"
)

// unproven is the caller's message when a proof fails.
const unproven = "logfence could not prove that this query stays within the tenant; please report it"

// unknownError is a construct that the fence does not know, and therefore refuses.
type unknownError struct{ construct string }

func (e *unknownError) Error() string { return "unknown construct " + e.construct }

// reasonOf is what the caller may know of a failed proof.
func reasonOf(err error) string {
	var unknown *unknownError
	if errors.As(err, &unknown) {
		return "this construct of LogQL is not supported (" + unknown.construct + ")"
	}
	return unproven
}

// prove compares the fenced expression with the original one: the same nodes and fields all
// over, but that every selector has the scope's matchers before its own, and as many selectors as
// the text has braces. It walks both trees once, fields that Loki does not export included, and by
// reflection, so that a field that a later Loki adds is compared without a change here, and a type
// that it adds is refused. Not by String(), Clone or JSON: in v3.7.8 each of them loses something.
func prove(original, fenced syntax.Expr, scope []*labels.Matcher, braces int) error {
	p := prover{scope: scope}
	// Behind a pointer to the interface, so that the two dynamic types are compared as well.
	if err := p.same(reflect.ValueOf(&original).Elem(), reflect.ValueOf(&fenced).Elem()); err != nil {
		return err
	}
	if p.selectors != braces {
		return fmt.Errorf("%d selectors behind %d braces", p.selectors, braces)
	}
	return nil
}

type prover struct {
	scope     []*labels.Matcher
	selectors int
}

// known are the structures that an expression may be made of. For each, the fields that Loki
// derives from the others, and that are not compared: compiled regular expressions and the like.
// MultiVariantExpr is not among them: `variants (…) of (…)` selects by its second part alone,
// is off by default, and was removed after Loki 3.7.
var known = fieldsOf(map[reflect.Type]map[string]bool{
	reflect.TypeFor[syntax.MatchersExpr]():               nil,
	reflect.TypeFor[syntax.PipelineExpr]():               nil,
	reflect.TypeFor[syntax.LineFilterExpr]():             nil,
	reflect.TypeFor[syntax.LineFilter]():                 nil,
	reflect.TypeFor[syntax.LogfmtParserExpr]():           nil,
	reflect.TypeFor[syntax.LineParserExpr]():             nil,
	reflect.TypeFor[syntax.LabelFilterExpr]():            nil,
	reflect.TypeFor[syntax.LineFmtExpr]():                nil,
	reflect.TypeFor[syntax.DecolorizeExpr]():             nil,
	reflect.TypeFor[syntax.DropLabelsExpr]():             nil,
	reflect.TypeFor[syntax.KeepLabelsExpr]():             nil,
	reflect.TypeFor[syntax.LabelFmtExpr]():               nil,
	reflect.TypeFor[syntax.JSONExpressionParserExpr]():   nil,
	reflect.TypeFor[syntax.LogfmtExpressionParserExpr](): nil,
	reflect.TypeFor[syntax.UnwrapExpr]():                 nil,
	reflect.TypeFor[syntax.LogRangeExpr]():               nil,
	reflect.TypeFor[syntax.RangeAggregationExpr]():       nil,
	reflect.TypeFor[syntax.VectorAggregationExpr]():      nil,
	reflect.TypeFor[syntax.Grouping]():                   nil,
	reflect.TypeFor[syntax.BinOpExpr]():                  nil,
	reflect.TypeFor[syntax.BinOpOptions]():               nil,
	reflect.TypeFor[syntax.VectorMatching]():             nil,
	reflect.TypeFor[syntax.LiteralExpr]():                nil,
	reflect.TypeFor[syntax.VectorExpr]():                 nil,
	reflect.TypeFor[syntax.LabelReplaceExpr]():           {"Re": true}, // compiled from Regex
	reflect.TypeFor[log.BinaryLabelFilter]():             nil,
	reflect.TypeFor[log.NoopLabelFilter]():               nil,
	reflect.TypeFor[log.BytesLabelFilter]():              nil,
	reflect.TypeFor[log.DurationLabelFilter]():           nil,
	reflect.TypeFor[log.NumericLabelFilter]():            nil,
	reflect.TypeFor[log.StringLabelFilter]():             nil,
	reflect.TypeFor[log.LineFilterLabelFilter]():         {"Filter": true},               // made from the Matcher
	reflect.TypeFor[log.IPLabelFilter]():                 {"ip": true, "patError": true}, // made from Pattern
	reflect.TypeFor[log.LabelFmt]():                      nil,
	reflect.TypeFor[log.NamedLabelMatcher]():             nil,
	reflect.TypeFor[log.LabelExtractionExpr]():           nil,
	reflect.TypeFor[labels.Matcher]():                    {"re": true}, // compiled from Value
})

// fieldsOf lists the fields that are compared, once and for all: reflect makes a new description of a
// field whenever it is original for its name.
func fieldsOf(derived map[reflect.Type]map[string]bool) map[reflect.Type][]int {
	fields := make(map[reflect.Type][]int, len(derived))
	for t, left := range derived {
		compared := make([]int, 0, t.NumField())
		for i := range t.NumField() {
			if !left[t.Field(i).Name] {
				compared = append(compared, i)
			}
		}
		fields[t] = compared
	}
	return fields
}

var (
	matchersExpr = reflect.TypeFor[*syntax.MatchersExpr]()
	errorType    = reflect.TypeFor[error]()
)

func (p *prover) same(original, fenced reflect.Value) error {
	switch original.Kind() {
	case reflect.Interface:
		return p.sameInterface(original, fenced)
	case reflect.Pointer:
		if original.IsNil() || fenced.IsNil() {
			return sameNil(original, fenced)
		}
		if original.Type() == matchersExpr {
			return p.sameSelector(original.Elem(), fenced.Elem())
		}
		return p.same(original.Elem(), fenced.Elem())
	case reflect.Struct:
		return p.sameStruct(original, fenced)
	case reflect.Slice:
		return p.sameSlice(original, fenced)
	default:
		return sameScalar(original, fenced)
	}
}

func (p *prover) sameInterface(original, fenced reflect.Value) error {
	if original.IsNil() || fenced.IsNil() {
		return sameNil(original, fenced)
	}
	// An error that the parser left in the tree for later: whatever it stands for is not known.
	if original.Type() == errorType {
		return errors.New("expression holds an error")
	}
	a, f := original.Elem(), fenced.Elem()
	if a.Type() != f.Type() {
		return fmt.Errorf("%s became %s", a.Type(), f.Type())
	}
	return p.same(a, f)
}

func sameNil(original, fenced reflect.Value) error {
	if original.IsNil() != fenced.IsNil() {
		return fmt.Errorf("%s came or went", original.Type())
	}
	return nil
}

// sameSelector is the one place where the two trees are to differ.
func (p *prover) sameSelector(original, fenced reflect.Value) error {
	p.selectors++
	own, all := original.FieldByName("Mts"), fenced.FieldByName("Mts")
	if all.Len() != len(p.scope)+own.Len() {
		return fmt.Errorf("selector has %d matchers, want %d and %d", all.Len(), len(p.scope), own.Len())
	}
	for i, want := range p.scope {
		if all.Index(i).IsNil() {
			return errors.New("selector has an empty matcher")
		}
		if err := p.same(reflect.ValueOf(want).Elem(), all.Index(i).Elem()); err != nil {
			return fmt.Errorf("matcher %d is not the scope's: %w", i, err)
		}
	}
	return p.sameElements(own, all.Slice(len(p.scope), all.Len()))
}

func (p *prover) sameStruct(original, fenced reflect.Value) error {
	fields, ok := known[original.Type()]
	if !ok {
		return &unknownError{construct: original.Type().Name()}
	}
	for _, i := range fields {
		if err := p.same(original.Field(i), fenced.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

func (p *prover) sameSlice(original, fenced reflect.Value) error {
	if err := sameNil(original, fenced); err != nil {
		return err
	}
	return p.sameElements(original, fenced)
}

func (p *prover) sameElements(original, fenced reflect.Value) error {
	if original.Len() != fenced.Len() {
		return fmt.Errorf("%s of %d became one of %d", original.Type(), original.Len(), fenced.Len())
	}
	for i := range original.Len() {
		if err := p.same(original.Index(i), fenced.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func sameScalar(original, fenced reflect.Value) error {
	var same bool
	switch {
	case original.Kind() == reflect.String:
		same = original.String() == fenced.String()
	case original.Kind() == reflect.Bool:
		same = original.Bool() == fenced.Bool()
	case original.CanInt():
		same = original.Int() == fenced.Int()
	case original.CanUint():
		same = original.Uint() == fenced.Uint()
	case original.CanFloat():
		// By bits: NaN (`1/0` is one by the time it is parsed) equals itself here.
		same = math.Float64bits(original.Float()) == math.Float64bits(fenced.Float())
	default:
		return &unknownError{construct: original.Type().String()}
	}
	if !same {
		return fmt.Errorf("a %s changed", original.Type())
	}
	return nil
}
