using CutoffLen.Common;
using CutoffLen.Evaluation.Ruler;

namespace CutoffLen.Tests.Evaluation;

public sealed class RulerTaskTests
{
    private const string Grass = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";
    private static readonly Essay Essay = new(string.Concat(Enumerable.Range(0, 300).Select(n => $"The {n}th day was long and warm.\n She said \"not today!\" Was it {n * n}? ")));

    public static TheoryData<string> Names => [.. RulerTasks.Of(Essay).Select(task => task.Name)];

    [Fact]
    public void A_single_needle_is_asked_for_in_RULERs_words()
    {
        var (prompt, answers) = Task("niah_single_1").Draw(3, 4096, new KeyedRandom(1, "test"));
        var lines = prompt.Split('\n');
        Assert.Equal(6, lines.Length);
        Assert.Equal("A special magic number is hidden within the following text. Make sure to memorize it. I will quiz you about the number afterwards.", lines[0]);
        Assert.Equal(3, lines[1..5].Count(line => line == Grass));
        var needle = lines[1..5].Single(line => line != Grass);
        Assert.Matches("^One of the special magic numbers for [a-z]+-[a-z]+ is: [0-9]{7}[.]$", needle);
        var key = needle.Split(' ')[7];
        Assert.Equal(
            $"What is the special magic number for {key} mentioned in the provided text? The special magic number for {key} mentioned in the provided text is", lines[5]);
        Assert.EndsWith($" is: {Assert.Single(answers)}.", needle);
        Assert.Equal(128, Task("niah_single_1").TokensToGenerate);
    }

    [Fact]
    public void Several_needles_are_asked_for_in_RULERs_words()
    {
        var (prompt, answers) = Task("niah_multiquery").Draw(300, 4096, new KeyedRandom(1, "test"));
        Assert.StartsWith("Some special magic numbers are hidden within the following text. Make sure to memorize it. I will quiz you about the numbers afterwards.\n", prompt);
        Assert.Matches("\nWhat are all the special magic numbers for ([a-z-]+, ){3}and [a-z-]+ mentioned in the provided text[?] The special magic numbers for ([a-z-]+, ){3}and [a-z-]+ mentioned in the provided text are$", prompt);
        Assert.Equal(4, answers.Distinct().Count());
        Assert.Equal(4, Task("niah_multivalue").Draw(300, 4096, new KeyedRandom(1, "test")).Answers.Distinct().Count());
        var uuids = Task("niah_multikey_3").Draw(20, 4096, new KeyedRandom(1, "test"));
        Assert.Equal(4, Guid.Parse(Assert.Single(uuids.Answers)).Version);
        Assert.Equal(21, uuids.Prompt.Split('\n').Count(line => line.StartsWith("One of the special magic uuids for ", StringComparison.Ordinal)));
    }

    [Fact]
    public void Variables_are_tracked_after_an_example_with_its_answer()
    {
        var prompt = Task("vt").Draw(7, 4096, new KeyedRandom(1, "test")).Prompt;
        var parts = prompt.Split("Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n");
        Assert.Equal(3, parts.Length);
        Assert.Equal((15, 7), (parts[1].Split(Grass).Length - 1, parts[2].Split(Grass).Length - 1));
        Assert.Matches("5 variables are assigned the value [0-9]{5}, they are:  [A-Z]{3}( [A-Z]{3}){4}\n\n$", parts[1]);
        Assert.Matches("\nQuestion: Find all variables that are assigned the value ([0-9]{5}) in the text above[.] Answer: According to the chain[(]s[)] of variable assignment in the text above, 5 variables are assigned the value \\1, they are: $", parts[2]);
        Assert.Equal(4, parts[2].Split('\n').Count(line => System.Text.RegularExpressions.Regex.IsMatch(line, "^VAR [A-Z]{5} = VAR [A-Z]{5} $")));
    }

    [Theory]
    [InlineData(4095, 20, 3, 1, 6, 1)]
    [InlineData(4096, 40, 10, 3, 30, 3)]
    public void Ten_words_of_a_list_are_common(int length, int exampleWords, int exampleOften, int exampleSeldom, int often, int seldom)
    {
        var (prompt, answers) = Task("cwe").Draw(50, length, new KeyedRandom(1, "test"));
        var lists = prompt.Split('\n').Where(line => line.StartsWith("1. ", StringComparison.Ordinal)).ToList();
        Check(lists[0], exampleWords, exampleOften, exampleSeldom);
        Check(lists[1], 50, often, seldom);
        var common = lists[1].Split(' ').Where((_, n) => n % 2 == 1).CountBy(word => word).Where(count => count.Value == often).Select(count => count.Key);
        Assert.Equal(answers.Order(), common.Order());
        Assert.EndsWith("Question: What are the 10 most common words in the above list? Answer: The top 10 words that appear most often in the list are:", prompt);

        static void Check(string list, int words, int often, int seldom)
        {
            var entries = list.Split(' ');
            Assert.Equal(Enumerable.Range(1, entries.Length / 2).Select(n => $"{n}."), entries.Where((_, n) => n % 2 == 0));
            var counts = entries.Where((_, n) => n % 2 == 1).CountBy(word => word).Select(count => count.Value).ToList();
            Assert.Equal([.. Enumerable.Repeat(often, 10), .. Enumerable.Repeat(seldom, words - 10)], counts.OrderDescending());
        }
    }

    [Fact]
    public void Longer_lists_have_pairs_of_words_none_twice()
    {
        var list = Task("cwe").Draw(2000, 4000, new KeyedRandom(1, "test")).Prompt.Split('\n').Last(line => line.StartsWith("1. ", StringComparison.Ordinal));
        Assert.Equal(2000, list.Split(' ').Where((_, n) => n % 2 == 1).Distinct().Count());
    }

    [Fact]
    public void Coded_words_follow_the_zeta_distribution()
    {
        // 1000 / zeta(2) = 607.9 of the first, a quarter, a ninth, a sixteenth of that.
        var (prompt, answers) = Task("fwe").Draw(1000, 4146, new KeyedRandom(1, "test"));
        var text = prompt.Split('\n')[0].Split("coded words. ")[1].Split(' ');
        var counts = text.CountBy(word => word).OrderByDescending(count => count.Value).ToList();
        Assert.Equal(["...", .. answers], counts.Take(4).Select(count => count.Key));
        Assert.Equal([607, 151, 67, 37, 24, 16, 12, 9, 7, 6], counts.Take(10).Select(count => count.Value));
        Assert.Equal(24, counts.Count); // of 81 words, those up to sqrt(607.9) have a whole part
        Assert.All(counts.Skip(1), count => Assert.Matches("^[a-z]{6}$", count.Key));
        // Of 42 words the last asked for and the next would be there once each.
        (prompt, answers) = Task("fwe").Draw(42, 512, new KeyedRandom(1, "test"));
        Assert.Equal([.. answers.Order(StringComparer.Ordinal)], prompt.Split('\n')[0].Split("coded words. ")[1].Split(' ').Distinct().Where(word => word != "...").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Needles_lie_anywhere_in_the_haystack()
    {
        foreach (var name in new[] { "niah_single_1", "niah_single_2", "niah_multikey_2" })
        {
            var quarters = new int[4];
            for (var n = 0; n < 400; n++)
            {
                var (prompt, answers) = Task(name).Draw(200, 4096, new KeyedRandom(1, name, n));
                var context = prompt[(prompt.IndexOf('\n') + 1)..prompt.LastIndexOf('\n')];
                var needle = context.LastIndexOf("One of", context.IndexOf(answers[0], StringComparison.Ordinal), StringComparison.Ordinal);
                quarters[4 * needle / context.Length]++;
            }

            Uniformity.Holds(quarters);
        }
    }

    [Fact]
    public void An_essay_is_cut_at_words_and_repeated_and_needles_stand_between_its_sentences()
    {
        var essay = new Essay(" One  two.\nThree \"four five!\" Six\tseven");
        var task = new NeedleTask("test", Haystack.Essay, Essay: essay);
        string Context(int size) => task.Draw(size, 4096, new KeyedRandom(2, "test")).Prompt.Split('\n')[1];
        string Text(string context) => System.Text.RegularExpressions.Regex.Replace(context, " ?One of the [^:]*: [0-9]+[.]", "").Trim();
        Assert.Equal("One two. Three \"four", Text(Context(4)));
        Assert.Equal("One two. Three \"four five!\" Six seven One two. Three", Text(Context(10)));
        Assert.Matches("(^|[.]|five!\"|seven) ?One of the .*: [0-9]+[.]( One two| Three| Six|$)", Context(10));
        Assert.Contains("no words", Assert.Throws<UserException>(() => new Essay(" \n")).Message);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_sample_depends_on_its_random_generator_alone(string name)
    {
        RulerSample Draw(long key) => Task(name).Draw(60, 2048, new KeyedRandom(1, "test", key));
        Assert.Equal(Draw(1).Prompt, Draw(1).Prompt);
        Assert.NotEqual(Draw(1).Prompt, Draw(2).Prompt);
        Assert.True(Task(name).Draw(90, 2048, new KeyedRandom(1, "test")).Prompt.Length > Draw(1).Prompt.Length);
    }

    [Fact]
    public void The_score_is_the_share_of_answers_in_the_text_in_any_case()
    {
        var sample = new RulerSample("", ["ABC", "12", "x-y"]);
        Assert.Equal(2.0 / 3, sample.Score("so abc, 112 and x y"));
        Assert.Equal(0, sample.Score(""));
        Assert.Equal(1, sample.Score("X-Y ABC 12"));
    }

    [Fact]
    public void Names_tell_what_differs_from_RULER()
    {
        Assert.Equal("niah_single_1", RulerTasks.Of()[0].Name);
        Assert.Equal("niah_single_2-noise", RulerTasks.Of()[1].Name);
        Assert.Equal("niah_multiquery-n8", RulerTasks.Of(Essay, needles: 8)[7].Name);
        Assert.Equal(8, RulerTasks.Of(needles: 8)[6].Draw(30, 512, new KeyedRandom(1, "test")).Answers.Count);
        Assert.Equal(["niah_multivalue-noise", "cwe"], RulerTasks.Select(RulerTasks.Of(), ["cwe", "niah_multivalue"]).Select(task => task.Name));
        Assert.Contains("'fwee' (did you mean fwe?); the tasks are niah_single_1, ", Assert.Throws<UserException>(() => RulerTasks.Select(RulerTasks.Of(), ["fwee"])).Message);
    }

    private static RulerTask Task(string name) => RulerTasks.Of(Essay).Single(task => task.Name == name);
}
