"""The messages of remote write as classes of google.protobuf, from descriptors that are made here."""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_F = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "double": _F.TYPE_DOUBLE,
    "int64": _F.TYPE_INT64,
    "uint32": _F.TYPE_UINT32,
    "string": _F.TYPE_STRING,
    "int32": _F.TYPE_INT32,
    "uint64": _F.TYPE_UINT64,
}

# Enums travel as int32 does. Histograms have as many fields as the tests fill.
_V1 = {
    "Label": "1 string name, 2 string value",
    "Sample": "1 double value, 2 int64 timestamp",
    "Exemplar": "1 *Label labels, 2 double value, 3 int64 timestamp",
    "Histogram": "1 uint64 count_int, 3 double sum, 15 int64 timestamp",
    "TimeSeries": "1 *Label labels, 2 *Sample samples, 3 *Exemplar exemplars, 4 *Histogram histograms",
    "MetricMetadata": "1 int32 type, 2 string metric_family_name, 4 string help, 5 string unit",
    "WriteRequest": "1 *TimeSeries timeseries, 3 *MetricMetadata metadata",
}
_V2 = {
    "Sample": "1 double value, 2 int64 timestamp",
    "Exemplar": "1 *uint32 labels_refs, 2 double value, 3 int64 timestamp",
    "Histogram": "1 uint64 count_int, 3 double sum, 15 int64 timestamp",
    "Metadata": "1 int32 type, 3 uint32 help_ref, 4 uint32 unit_ref",
    "TimeSeries": "1 *uint32 labels_refs, 2 *Sample samples, 3 *Histogram histograms, 4 *Exemplar exemplars, "
    "5 Metadata metadata, 6 int64 created_timestamp",
    "Request": "4 *string symbols, 5 *TimeSeries timeseries",
}


def _classes(package: str, messages: dict[str, str]) -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for text in fields.split(", "):
            number, kind, field = text.split()
            many, kind = kind.startswith("*"), kind.lstrip("*")
            made = message.field.add(name=field, number=int(number))
            made.label = _F.LABEL_REPEATED if many else _F.LABEL_OPTIONAL
            if kind in _TYPES:
                made.type = _TYPES[kind]
            else:
                made.type, made.type_name = _F.TYPE_MESSAGE, f".{package}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{n}")) for n in messages}


V1 = _classes("prometheus", _V1)
V2 = _classes("io.prometheus.write.v2", _V2)
WriteRequest = V1["WriteRequest"]
Request = V2["Request"]
