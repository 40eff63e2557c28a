/**
 * Gives the client a token for each try to connect. In a call, it does not give a token
 * again that the server has refused: it waits until the user enters another one.
 */
export class TokenSource {
  #token: string;
  #patient = false;
  #given = false;
  #refused = false;
  readonly #waiting = new Set<(token: string) => void>();
  readonly #wanted: () => void;

  /** Calls `wanted` when it starts to wait for a token. */
  constructor(token: string, wanted: () => void) {
    this.#token = token;
    this.#wanted = wanted;
  }

  /**
   * Whether to wait for the user. Before the call, a refusal is told at once. After it, the
   * client asks for tokens to deliver the hang-up, and no longer says when a try begins.
   */
  bePatient(patient: boolean): void {
    this.#patient = patient;
  }

  /** A try to connect begins. `refused`: because the server refused the last token. */
  tries(refused: boolean): void {
    this.#given = false;
    this.#refused ||= refused;
  }

  /** The user has entered a token. */
  renew(token: string): void {
    this.#token = token;
    this.#refused = false;
    this.#given = this.#waiting.size > 0;
    this.#waiting.forEach((resolve) => resolve(token));
    this.#waiting.clear();
  }

  async take(): Promise<string> {
    // The client asks twice in one try only if the server refused the first token.
    this.#refused ||= this.#given;
    this.#given = true;
    if (!this.#refused || !this.#patient) {
      return this.#token;
    }
    this.#wanted();
    return new Promise((resolve) => this.#waiting.add(resolve));
  }
}
