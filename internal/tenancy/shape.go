package tenancy

import (
	"github.com/grafana/loki/v3/pkg/logql/syntax"
)

// shapeOf measures an expression that has been proven, so that its types are known. What the cases below
// do not name has nothing of what is measured in it.
func shapeOf(e syntax.Expr) Shape {
	switch e := e.(type) {
	case *syntax.BinOpExpr:
		return shapeOfOperator(e)
	case *syntax.VectorAggregationExpr:
		return shapeOf(e.Left).deeper()
	case *syntax.LabelReplaceExpr:
		return shapeOf(e.Left).deeper()
	case *syntax.RangeAggregationExpr:
		s := shapeOf(e.Left.Left).deeper()
		s.RangeVector = max(s.RangeVector, e.Left.Interval)
		return s
	case *syntax.MatchersExpr, *syntax.PipelineExpr: // a pipeline's stages are in a row, not in each other
		return Shape{Depth: 1, Selectors: 1}
	default:
		return Shape{Depth: 1}
	}
}

// shapeOfOperator counts a chain of operators once: a sum of forty terms is honest, and its tree leans to
// the left as far as it is long.
func shapeOfOperator(e *syntax.BinOpExpr) Shape {
	left, right := shapeOf(e.SampleExpr), shapeOf(e.RHS).deeper()
	if _, chain := e.SampleExpr.(*syntax.BinOpExpr); !chain {
		left = left.deeper()
	}
	return Shape{
		Depth:       max(left.Depth, right.Depth),
		Selectors:   left.Selectors + right.Selectors,
		RangeVector: max(left.RangeVector, right.RangeVector),
	}
}

func (s Shape) deeper() Shape {
	s.Depth++
	return s
}
