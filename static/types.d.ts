// Types that the modules share. Only the type checker and editors read this file; browsers never load it.

/** In units of a sheet SHEET_HEIGHT high (ink.js). `width` is relative to PEN_WIDTH, where a pen reported pressure. */
type Point = [x: number, y: number, width?: number];
type Stroke = Point[];

/** Where a pen is on the sheet. `pressure` is from 0 to 1; 0 if it is unknown. */
type PenPosition = [x: number, y: number, pressure?: number];

type Size = [width: number, height: number];
type Box = [left: number, top: number, width: number, height: number];

/** The input of a prediction: a drawing, or a picture file. */
type Input = Stroke[] | Blob;

/** A digit of a reading. */
interface ReadDigit {
  digit: number;
  is_digit: boolean;
  /** The three likeliest digits, likeliest first; confidence is from 0 to 1. */
  top: { digit: number; confidence: number }[];
  probabilities: number[];
  /** The network's 28x28 input, as a data URL. */
  frame: string;
  /** Where it is, in units of the drawing or in pixels of the picture. */
  box?: Box;
}

/** The response of POST /api/v1/read. */
interface Reading {
  /** Lines are separated by "\n"; "?" stands for a digit that cannot be read. */
  text: string;
  confidence: number;
  alternatives: { text: string; confidence: number }[];
  digits: ReadDigit[];
  /** Whether there are more digits than were read. */
  truncated: boolean;
  model: string;
  elapsed_ms: number;
}

/**
 * What the page shows: the first digit of a reading, with the reading. Those of an earlier version, in the history, have
 * no `text` and no `digits`.
 */
interface Prediction extends ReadDigit {
  text?: string;
  confidence?: number;
  alternatives?: Reading["alternatives"];
  digits?: ReadDigit[];
  /** Id of the model. */
  model: string;
  elapsed_ms: number;
  /** Of the picture in whose pixels the boxes are, where only a small copy of it was kept. */
  size?: Size;
}

/** An input with the answer to it. */
interface ReadInput {
  input: Input;
  prediction: Prediction;
}

/** The response of POST /api/v1/explain: -1 to 1 for each cell of the area `box` of the drawing or picture. */
interface Explanation {
  heat: number[][];
  box: Box;
}

/** A prediction or an error in words. `state` selects the colours of the answer in style.css. */
interface Answer {
  state: string;
  numeral: string;
  words: string;
  note: string;
}

/** A drawing, or a small copy of a picture as a data URL with the size of the original, in the history. */
type Subject = { strokes: Stroke[] } | { picture: string; size: Size };
type HistoryEntry = Subject & { id: number; prediction: Prediction };
/** `label` is the true digit, null if there is none, or the true number with spaces between its lines. */
type Correction = HistoryEntry & { label: number | string | null };

type Announcer = import("./announcer.js").Announcer;
type Pad = import("./pad.js").Pad;
type Picture = import("./picture.js").Picture;
type Sketch = import("./sketch.js").Sketch;
type BatchList = import("./batch.js").BatchList;
type ExplanationView = import("./explanation.js").ExplanationView;
type Kept = import("./kept.js").Kept;
type Playback = import("./playback.js").Playback;

/** A small copy of a picture, and the size of the original. */
type LoadedPicture = { copy: Blob; size: Size };

/** Of Swagger UI (docs.js). */
interface Window {
  SwaggerUIBundle(options: object): void;
}
