export default {
  printWidth: 110,
  singleQuote: true,
  embeddedLanguageFormatting: 'off',
  plugins: ['./tools/prettier-htm.js'],
};
