using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace CutoffLen.Configuration;

/// <summary>Writes a configuration as YAML that <see cref="RunConfigReader"/> reads back to the same values.</summary>
public static partial class RunConfigWriter
{
    private static readonly JsonSerializerOptions Quoting = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Every key, section by section.</summary>
    public static string ToYaml(RunConfig config)
    {
        var yaml = new StringBuilder();
        foreach (var section in ConfigKeys.All.GroupBy(key => key.Section))
        {
            yaml.Append(yaml.Length > 0 ? "\n" : "").Append("# ").Append(section.Key).Append('\n');
            foreach (var key in section)
            {
                yaml.Append(key.Name).Append(": ").Append(Value(key, config)).Append('\n');
            }
        }

        return yaml.ToString();
    }

    /// <summary>The value of a key as it is written.</summary>
    internal static string Value(ConfigKey key, RunConfig config) => Write(key.Format(key.Get(config)));

    private static string Write(ConfigText text) =>
        text.Items is { } items ? $"[{string.Join(", ", items.Select(Write))}]"
        : text.Keys is { } keys ? $"{{{string.Join(", ", keys.Select(key => $"{key.Name}: {Write(key.Text)}"))}}}"
        : text.Text is { } single ? Write(single) : "null";

    /// <summary>A plain word where YAML cannot take it for anything else; else quoted as JSON, which is YAML too.</summary>
    private static string Write(string text) =>
        Plain().IsMatch(text) && text is not ("null" or "Null" or "NULL") ? text : JsonSerializer.Serialize(text, Quoting);

    [GeneratedRegex(@"^[A-Za-z0-9_./][A-Za-z0-9_./=+-]*(:[A-Za-z0-9_./=+-]+)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex Plain();
}
