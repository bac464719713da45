module luna/promql/oracle

go 1.25

require github.com/prometheus/prometheus v0.314.0
