// Just enough of protobuf's wire format to read OTLP traces:
// https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto

export type CollectedSpan = {
  service: string;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  attributes: Record<string, string | number | boolean>;
  links: { traceId: string; spanId: string }[];
  failed: boolean;
  startNs: bigint;
  endNs: bigint;
};

type Field = { bytes?: Buffer; number?: bigint };

/** The fields of a message, by number. */
function fieldsOf(message: Buffer): Map<number, Field[]> {
  const fields = new Map<number, Field[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined) throw new Error('the message ends in the middle of a number');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number) => message.subarray(at, (at += length));
  while (at < message.length) {
    const key = Number(varint());
    const readers: Record<number, () => Field> = {
      0: () => ({ number: varint() }),
      1: () => ({ number: take(8).readBigUInt64LE() }),
      2: () => ({ bytes: take(Number(varint())) }),
      5: () => ({ number: BigInt(take(4).readUInt32LE()) }),
    };
    const read = readers[key & 7];
    if (read === undefined) throw new Error(`wire type ${key & 7} is not known`);
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), read()]);
  }
  return fields;
}

const messages = (fields: Map<number, Field[]>, number: number) =>
  (fields.get(number) ?? []).map(({ bytes = Buffer.alloc(0) }) => fieldsOf(bytes));
const text = (fields: Map<number, Field[]>, number: number) => fields.get(number)?.[0]?.bytes?.toString('utf8') ?? '';
const hex = (fields: Map<number, Field[]>, number: number) => fields.get(number)?.[0]?.bytes?.toString('hex') ?? '';
const number = (fields: Map<number, Field[]>, field: number) => fields.get(field)?.[0]?.number ?? 0n;

function attributesOf(fields: Map<number, Field[]>, field: number): CollectedSpan['attributes'] {
  return Object.fromEntries(
    messages(fields, field).map((pair) => {
      const [value] = messages(pair, 2);
      if (value === undefined) return [text(pair, 1), ''];
      if (value.has(2)) return [text(pair, 1), number(value, 2) === 1n];
      if (value.has(3)) return [text(pair, 1), Number(BigInt.asIntN(64, number(value, 3)))];
      if (value.has(4)) {
        const bits = Buffer.alloc(8);
        bits.writeBigUInt64LE(number(value, 4));
        return [text(pair, 1), bits.readDoubleLE()];
      }
      return [text(pair, 1), text(value, 1)];
    }),
  );
}

/** The spans of an `ExportTraceServiceRequest`. */
export function readTraces(body: Buffer): CollectedSpan[] {
  return messages(fieldsOf(body), 1).flatMap((resourceSpans) => {
    const [resource] = messages(resourceSpans, 1);
    const service = resource === undefined ? '' : String(attributesOf(resource, 1)['service.name']);
    return messages(resourceSpans, 2).flatMap((scope) =>
      messages(scope, 2).map((span) => ({
        service,
        traceId: hex(span, 1),
        spanId: hex(span, 2),
        parentSpanId: hex(span, 4),
        name: text(span, 5),
        kind: Number(number(span, 6)),
        attributes: attributesOf(span, 9),
        links: messages(span, 13).map((link) => ({ traceId: hex(link, 1), spanId: hex(link, 2) })),
        failed: messages(span, 15).some((status) => number(status, 3) === 2n),
        startNs: number(span, 7),
        endNs: number(span, 8),
      })),
    );
  });
}
