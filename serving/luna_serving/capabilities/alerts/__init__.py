"""Alerts: rules over the account's metrics, their evaluation, and the delivery of what changes.

Rooms, each importing only those below it: `capability`; `routes | loops`; `simulation`; `evaluation`; `models`;
`delivery`; `states`; `rules`; `store | templates`. Not here: samples and PromQL (`luna_serving.samples`,
`luna_serving.engines.promql`), models of series (`luna_serving.engines.anomaly`), sockets (`luna_serving.live`).
"""
