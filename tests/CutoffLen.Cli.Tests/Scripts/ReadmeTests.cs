using System.Text.RegularExpressions;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Cli.Tests.Scripts;

/// <summary>README.md and the pages beside what they describe keep up with the program.</summary>
public sealed partial class ReadmeTests
{
    public static TheoryData<string> Pages => ["README.md", "configs/README.md", "src/CutoffLen/Positions/README.md", "src/CutoffLen/Evaluation/README.md", "src/CutoffLen/Tokenization/README.md", "scripts/bench/README.md"];

    [Fact]
    public void Every_verb_has_a_command_in_it()
    {
        var help = Cutoff.Run("--help").Exits(0).Output;
        var verbs = Verb().Matches(help[help.IndexOf("Commands:", StringComparison.Ordinal)..]).Select(match => match.Groups[1].Value).ToList();
        Assert.Contains("eval-ppl", verbs);
        Assert.All(verbs, verb => Assert.Matches($@"(?m)^(scripts/)?cutoff {verb}\b", Page("configs/README.md")));
    }

    [Fact]
    public void Every_position_method_modifier_and_preset_is_in_the_table_of_its_page_and_named_in_README()
    {
        var names = PositionMethods.All.Select(entry => entry.Name).Concat(PositionMethods.Modifiers.Select(entry => $"+{entry.Name}")).Concat(PositionMethods.Presets.Select(preset => preset.Name)).ToList();
        Assert.All(names, name => Assert.Contains($"| `{name}`", Page("src/CutoffLen/Positions/README.md"), StringComparison.Ordinal));
        Assert.All(names, name => Assert.Contains($"`{name}`", Page("README.md"), StringComparison.Ordinal));
    }

    [Fact]
    public void Every_protocol_is_in_the_table_of_its_page() =>
        Assert.All(PerplexityProtocols.All, protocol => Assert.Contains($"| `{protocol.Name}`", Page("src/CutoffLen/Evaluation/README.md"), StringComparison.Ordinal));

    [Theory]
    [MemberData(nameof(Pages))]
    public void Files_it_names_exist(string page) => Assert.All(
        Named().Matches(Page(page)).Select(match => match.Value),
        path => Assert.True(Path.Exists(Path.Combine(Repository.Root, path)), $"{page} names {path}"));

    [Fact]
    public void README_is_short() => Assert.InRange(Page("README.md").Split('\n').Length, 50, 150);

    private static string Page(string file) => File.ReadAllText(Path.Combine(Repository.Root, file));

    [GeneratedRegex(@"(?m)^  ([a-z][a-z-]+)\s")]
    private static partial Regex Verb();

    [GeneratedRegex(@"\b(?:src|tests|configs|scripts)(?:/[A-Za-z0-9._-]*[A-Za-z0-9_-])+")]
    private static partial Regex Named();
}
