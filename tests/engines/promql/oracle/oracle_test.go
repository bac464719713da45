// Package oracle answers the scripts and queries of this folder's tests with Prometheus' own engine.
//
// The engine runs with the options of a Prometheus server that was started without feature flags.
package oracle

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

func engine(t testing.TB) *promql.Engine {
	return promqltest.NewTestEngineWithOpts(t, promql.EngineOpts{
		MaxSamples:               50_000_000,
		Timeout:                  2 * time.Minute,
		LookbackDelta:            5 * time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   parser.NewParser(parser.Options{}),
	})
}

// TestScripts runs the scripts that ORACLE_SCRIPTS (a glob) names; every evaluation is a subtest.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob(os.Getenv("ORACLE_SCRIPTS"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(path), func(t *testing.T) { promqltest.RunTest(t, string(text), engine(t)) })
	}
}

type query struct {
	Expr             string
	Start, End, Step int64 // milliseconds; Step 0 is an instant query at Start
}

type request struct {
	Load    string // load commands of a script
	Queries []query
}

type point struct {
	T int64
	V string
}

type series struct {
	Labels map[string]string
	Points []point
}

type answer struct {
	Type, Error, String string
	Series              []series
	Warnings, Infos     []string
}

// TestAnswers reads requests, one JSON object per line of the file ORACLE_REQUESTS, and writes to
// ORACLE_ANSWERS one line per request: the list of its answers.
func TestAnswers(t *testing.T) {
	in, err := os.Open(os.Getenv("ORACLE_REQUESTS"))
	if err != nil {
		t.Skip("no requests")
	}
	defer in.Close()
	out, err := os.Create(os.Getenv("ORACLE_ANSWERS"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	eng := engine(t)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<26)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		answers := make([]answer, 0, len(r.Queries))
		store := promqltest.LoadedStorage(t, r.Load)
		for _, q := range r.Queries {
			var prepared promql.Query
			if q.Step == 0 {
				prepared, err = eng.NewInstantQuery(context.Background(), store, nil, q.Expr, timestamp.Time(q.Start))
			} else {
				prepared, err = eng.NewRangeQuery(context.Background(), store, nil, q.Expr,
					timestamp.Time(q.Start), timestamp.Time(q.End), time.Duration(q.Step)*time.Millisecond)
			}
			if err != nil {
				answers = append(answers, answer{Error: err.Error()})
				continue
			}
			answers = append(answers, answerOf(prepared.Exec(context.Background()), q.Expr, q.Start))
			prepared.Close()
		}
		if err := json.NewEncoder(out).Encode(answers); err != nil {
			t.Fatal(err)
		}
	}
}

func answerOf(result *promql.Result, expr string, at int64) (a answer) {
	a.Warnings, a.Infos = result.Warnings.AsStrings(expr, 0, 0)
	if result.Err != nil {
		a.Error = result.Err.Error()
		return a
	}
	a.Type = string(result.Value.Type())
	number := func(t int64, v float64) point { return point{t, strconv.FormatFloat(v, 'g', -1, 64)} }
	switch value := result.Value.(type) {
	case promql.Scalar:
		a.Series = []series{{Points: []point{number(at, value.V)}}}
	case promql.String:
		a.String = value.V
	case promql.Vector:
		for _, s := range value {
			a.Series = append(a.Series, series{s.Metric.Map(), []point{number(s.T, s.F)}})
		}
	case promql.Matrix:
		for _, s := range value {
			points := make([]point, len(s.Floats))
			for i, p := range s.Floats {
				points[i] = number(p.T, p.F)
			}
			a.Series = append(a.Series, series{s.Metric.Map(), points})
		}
	}
	return a
}
