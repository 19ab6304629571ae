// What browsers have and TypeScript's library does not name yet.

interface RawJSON {
    rawJSON: string;
}

interface JSON {
    rawJSON(text: string): RawJSON;
    isRawJSON(value: unknown): value is RawJSON;
    parse(text: string, reviver: (key: string, value: any, context: { source: string }) => any): any;
}
