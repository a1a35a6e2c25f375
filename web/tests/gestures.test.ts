import { beforeEach, describe, expect, it } from 'vitest';
import { type Gesture, GestureRecognizer, listenToTouches } from '../src/player/gestures';

const WIDTH = 400;
const LEFT = 50;
const RIGHT = 350;

describe('gestures', () => {
  let recognizer: GestureRecognizer;
  let clock: number;
  beforeEach(() => {
    recognizer = new GestureRecognizer();
    clock = 1000;
  });

  const tap = (x: number, afterMs = 100): Gesture | null => {
    clock += afterMs;
    recognizer.press({ id: 1, x, y: 100, at: clock });
    clock += 50;
    return recognizer.release({ id: 1, x: x + 3, y: 102, at: clock }, WIDTH);
  };

  const swipe = (right: number, down: number, tookMs = 200): Gesture | null => {
    recognizer.press({ id: 1, x: 200, y: 100, at: clock });
    clock += tookMs;
    return recognizer.release({ id: 1, x: 200 + right, y: 100 + down, at: clock }, WIDTH);
  };

  it('leave a single tap to the controls', () => {
    expect(tap(LEFT)).toBeNull();
    expect(tap(LEFT, 2000)).toBeNull();
  });

  it('seek back on the left and on on the right, by two taps', () => {
    tap(LEFT);
    expect(tap(LEFT)).toEqual({ type: 'seek', by: -10, total: -10 });
    tap(RIGHT, 2000);
    expect(tap(RIGHT)).toEqual({ type: 'seek', by: 10, total: 10 });
  });

  it('add up while taps follow', () => {
    tap(RIGHT);
    tap(RIGHT);
    expect(tap(RIGHT)).toEqual({ type: 'seek', by: 10, total: 20 });
    expect(tap(RIGHT)).toEqual({ type: 'seek', by: 10, total: 30 });
    expect(tap(RIGHT, 2000)).toBeNull();
  });

  it('begin anew on the other side', () => {
    tap(RIGHT);
    expect(tap(LEFT)).toBeNull();
    expect(tap(LEFT)).toEqual({ type: 'seek', by: -10, total: -10 });
  });

  it('know a swipe down, and no other', () => {
    expect(swipe(10, 120)).toEqual({ type: 'swipe-down' });
    expect(swipe(0, -120)).toBeNull();
    expect(swipe(120, 30)).toBeNull();
    expect(swipe(100, 120)).toBeNull();
    expect(swipe(0, 40)).toBeNull();
    expect(swipe(0, 120, 3000)).toBeNull();
  });

  it('do not take a long press, or a swipe, for a tap', () => {
    tap(RIGHT);
    recognizer.press({ id: 1, x: RIGHT, y: 100, at: clock });
    clock += 1000;
    expect(recognizer.release({ id: 1, x: RIGHT, y: 100, at: clock }, WIDTH)).toBeNull();
    expect(tap(RIGHT)).toBeNull();
    swipe(10, 120);
    expect(tap(RIGHT)).toBeNull();
  });

  it('leave two fingers, and what the browser takes, to the browser', () => {
    recognizer.press({ id: 1, x: 100, y: 100, at: clock });
    recognizer.press({ id: 2, x: 300, y: 100, at: clock });
    expect(recognizer.release({ id: 2, x: 300, y: 300, at: clock + 100 }, WIDTH)).toBeNull();
    expect(recognizer.release({ id: 1, x: 100, y: 300, at: clock + 100 }, WIDTH)).toBeNull();
    tap(RIGHT);
    recognizer.press({ id: 1, x: RIGHT, y: 100, at: clock });
    recognizer.cancel(1);
    expect(tap(RIGHT)).toBeNull();
    expect(tap(RIGHT)).not.toBeNull();
  });
});

class Controller extends EventTarget {
  clientWidth = WIDTH;
  getBoundingClientRect() {
    return { left: 0 };
  }
}

describe('touches on the player', () => {
  let controller: Controller;
  let gestures: Gesture[];
  let heard: string[];
  beforeEach(() => {
    controller = new Controller();
    gestures = [];
    heard = [];
    const video = new EventTarget() as HTMLVideoElement;
    listenToTouches(controller as unknown as HTMLElement, video, (gesture) => gestures.push(gesture));
    for (const type of ['pointerup', 'dblclick']) {
      controller.addEventListener(type, () => heard.push(type));
    }
  });

  const send = (type: string, pointerType: string, target: object = controller) => {
    const event = Object.assign(new Event(type), { pointerType, pointerId: 1, clientX: RIGHT, clientY: 50 });
    Object.defineProperty(event, 'target', { value: target });
    controller.dispatchEvent(event);
  };
  const tapTwice = (pointerType: string, target?: object) => {
    for (const type of ['pointerdown', 'pointerup', 'pointerdown', 'pointerup', 'dblclick']) {
      send(type, pointerType, target);
    }
  };

  it('seek, without full screen, and the controls see only the first tap', () => {
    tapTwice('touch');
    expect(gestures).toEqual([{ type: 'seek', by: 10, total: 10 }]);
    expect(heard).toEqual(['pointerup']);
  });

  it('leave a mouse and a pen alone', () => {
    tapTwice('mouse');
    expect(gestures).toEqual([]);
    expect(heard).toEqual(['pointerup', 'pointerup', 'dblclick']);
    tapTwice('pen');
    expect(gestures).toEqual([]);
  });

  it('leave buttons and the timeline alone', () => {
    tapTwice('touch', new EventTarget());
    expect(gestures).toEqual([]);
  });
});
