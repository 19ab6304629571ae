// The words of templates in the language of the console; the server has English ones.
import { durationText } from './grammar.js';
import { textOf } from './exact.js';
import { has, t } from '../texts/texts.js';

/** The words of a template by its id, or those of the server for one that the console does not know. */
const say = (place, otherwise, members) =>
  has(`template.${place}`) ? t(`template.${place}`, members) : otherwise;

const valueText = (type, value) => (type === 'duration' ? durationText(value) : textOf(value));

/**
 * Name and description with the values of the parameters in them.
 * @param {any} template of the server
 * @param {Record<string, any>} values of its parameters, by name
 * @param {{ name: string, description: string }} otherwise the words of the server
 */
export function templateWords({ id, parameters }, values, otherwise) {
  const members = Object.fromEntries(
    parameters.map(({ name, type }) => [name, valueText(type, values[name])]),
  );
  return {
    name: say(`${id}.name`, otherwise.name, members),
    description: say(`${id}.description`, otherwise.description, members),
  };
}

/** The values that the parameters of a template have at first. */
export const defaultsOf = (template) =>
  Object.fromEntries(template.parameters.map((one) => [one.name, one.default]));

export const categoryText = (category) => say(`category.${category}`, category);

export const parameterText = (template, { name, title }) => say(`${template.id}.parameter.${name}`, title);
