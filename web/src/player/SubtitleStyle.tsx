import { p } from '../i18n/playing';
import { CUE_CHOICES, CUE_PROPERTIES, cueAttributes, cueStyle } from './cueStyle';

/** How subtitles look, with an example. */
export function SubtitleStyle() {
  const style = cueStyle.value;
  return (
    <fieldset data-testid="subtitle-style">
      <legend>{p('subtitles.style')}</legend>
      <div class="cue-preview" {...cueAttributes(style)} data-testid="cue-preview">
        <span class="cue-sample">{p('subtitles.sample')}</span>
      </div>
      {CUE_PROPERTIES.map((property) => (
        <label key={property}>
          {p(`subtitles.${property}`)}
          <select
            name={property}
            value={style[property]}
            onChange={(event) => {
              cueStyle.value = { ...style, [property]: event.currentTarget.value };
            }}
          >
            {CUE_CHOICES[property].map((choice) => (
              <option key={choice} value={choice}>
                {p(`subtitles.${property}.${choice}` as Parameters<typeof p>[0])}
              </option>
            ))}
          </select>
        </label>
      ))}
    </fieldset>
  );
}
