// One line that is said once on arrival: "Asked. The hospital has been told."
class Said {
  text = $state('');
  #timer: ReturnType<typeof setTimeout> | undefined;
  say(text: string): void {
    clearTimeout(this.#timer);
    this.text = text;
    this.#timer = setTimeout(() => (this.text = ''), 8000);
  }
  hush(): void {
    clearTimeout(this.#timer);
    this.text = '';
  }
}
export const said = new Said();
