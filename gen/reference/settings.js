// Code generated from redocly.yaml by `make reference`; DO NOT EDIT.
export default {
  "hideDownloadButtons": false,
  "schemasExpansionLevel": 1,
  "jsonSamplesExpandLevel": 4,
  "sortRequiredPropsFirst": true,
  "hideSchemaTitles": false
};
