/** What the numbers of a metric query measure. Pure. */
import {
  BytesConv,
  BytesOverTime,
  BytesRate,
  ConvOp,
  CountOverTime,
  DurationConv,
  DurationSecondsConv,
  Expr,
  LogRangeExpr,
  MetricExpr,
  RangeAggregationExpr,
  RangeOp,
  Rate,
  RateCounter,
  StdvarOverTime,
  UnwrapExpr,
  VectorAggregationExpr,
  VectorOp,
} from '@grafana/lezer-logql';
import type { SyntaxNode } from '@lezer/common';

import { all, parse, textOf } from './syntax';

export type Unit = 'lines' | 'lines/s' | 'bytes' | 'bytes/s' | 's' | '';

/** The unit of the query's values; empty where it does not follow from the query alone, as of a ratio. */
export function unitOf(query: string): Unit {
  const expression = parse(query).getChild(Expr)?.getChild(MetricExpr);
  return expression ? unitOfMetric(query, expression) : '';
}

/** Aggregations whose result has the unit of what they aggregate. */
const keeping = new Set(['sum', 'avg', 'min', 'max', 'topk', 'bottomk', 'approx_topk', 'stddev', 'sort', 'sort_desc']);

function unitOfMetric(query: string, metric: SyntaxNode): Unit {
  const inner = metric.firstChild;
  switch (inner?.type.id) {
    case MetricExpr: // in parentheses
      return unitOfMetric(query, inner);
    case VectorAggregationExpr: {
      const op = inner.getChild(VectorOp);
      const of = inner.getChild(MetricExpr);
      return op && of && keeping.has(textOf(query, op).toLowerCase()) ? unitOfMetric(query, of) : '';
    }
    case RangeAggregationExpr:
      return unitOfRange(inner);
    default:
      return '';
  }
}

function unitOfRange(aggregation: SyntaxNode): Unit {
  const op = aggregation.getChild(RangeOp)?.firstChild?.type.id;
  const unwrap = aggregation.getChild(LogRangeExpr)?.getChild(UnwrapExpr);
  if (unwrap) return op === Rate ? '' : unitOfField(unwrap, op);
  switch (op) {
    case CountOverTime:
      return 'lines';
    case Rate:
      return 'lines/s';
    case BytesOverTime:
      return 'bytes';
    case BytesRate:
      return 'bytes/s';
    default:
      return '';
  }
}

function unitOfField(unwrap: SyntaxNode, op: number | undefined): Unit {
  if (op === StdvarOverTime || op === RateCounter) return '';
  switch (unwrap.getChild(ConvOp)?.firstChild?.type.id) {
    case BytesConv:
      return 'bytes';
    case DurationConv:
    case DurationSecondsConv:
      return 's';
    default:
      return '';
  }
}

/** Whether the query selects the largest or smallest series, which Loki does at each step anew. */
export function selectsPerStep(query: string): boolean {
  return all(parse(query), VectorOp).some((op) => /^(?:approx_)?(?:topk|bottomk)$/i.test(textOf(query, op)));
}
