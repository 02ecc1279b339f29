using System.Globalization;
using CutoffLen.Common;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using FsCheck;
using FsCheck.Fluent;

namespace CutoffLen.Tests.Positions.Spec;

public sealed class PositionSpecTests
{
    [Theory]
    [InlineData("rope", "rope")]
    [InlineData("  YaRN : factor = 4 , original=2k ", "yarn:factor=4,original=2048")]
    [InlineData("yarn:original=2048,factor=4.0", "yarn:factor=4,original=2048")]
    [InlineData("pi:factor=8+resonance", "linear:factor=8+resonance")]
    [InlineData("xpos:scale_base=512+bca:window=1024", "xpos:scale_base=512+bca:window=1024")]
    [InlineData("rerope:window=16+logn:original=64+bca:window=32", "rerope:window=16+bca:window=32+logn:original=64")]
    [InlineData("abf:base=1e+6", "abf:base=1000000")]
    [InlineData("abf:base=1e6+logn", "abf:base=1000000+logn")]
    [InlineData("dynamic_ntk:factor=2", "dynamic-ntk:factor=2")]
    [InlineData("dca:mscale=TRUE,Window=8", "dca:window=8,mscale=true")]
    [InlineData("longrope:long=1/1.50/2e0,short=1/1/1", "longrope:long=1/1.5/2,short=1/1/1")]
    [InlineData("auto", "auto")]
    [InlineData("auto+logn", "auto+logn")]
    [InlineData("rope @ 3::4 = nope", "rope@3::4=nope")]
    [InlineData("auto@5:=nope+temperature:form=llama4", "auto@5:=nope+temperature:form=llama4")]
    [InlineData("ntk:factor=2@:2=pi:factor=8@5:6=rope@7::1=alibi+logn", "ntk:factor=2@0:2=linear:factor=8@5=rope@7:=alibi+logn")]
    [InlineData("rope@1,3,8:12:2=nope", "rope@1,3,8:12:2=nope")]
    [InlineData("Entropy_ABF", "abf:base=500000+logn:original=4096@0:2=abf:base=500000")]
    public void Specs_have_one_canonical_text(string written, string canonical)
    {
        var spec = PositionMethods.Parse(written);
        Assert.Equal(canonical, spec.ToString());
        Assert.Equal(spec, PositionMethods.Parse(canonical));
        Assert.Equal(spec.GetHashCode(), PositionMethods.Parse(canonical).GetHashCode());
    }

    [Theory]
    [InlineData("yarm", "unknown method 'yarm' (did you mean yarn?)")]
    [InlineData("yran", "unknown method 'yran' (did you mean yarn?)")]
    [InlineData("", "unknown method ''")]
    [InlineData("logn", "unknown method 'logn'")]
    [InlineData("rope+resonanse", "unknown modifier 'resonanse' (did you mean resonance?)")]
    [InlineData("rope+rerope", "unknown modifier 'rerope'")]
    [InlineData("yarn:factr=4", "yarn has no key 'factr' (did you mean factor?); its keys are factor (a number from 1 to 65536); original")]
    [InlineData("rope:factor=4", "rope has no key 'factor'; it has none")]
    [InlineData("rope:", "rope has no key ''")]
    [InlineData("linear:factor", "linear's factor must be a number from 1 to 65536, not ''")]
    [InlineData("linear:factor=0", "linear's factor must be a number from 1 to 65536, not '0'")]
    [InlineData("linear:factor=-2", "must be a number from 1 to 65536, not '-2'")]
    [InlineData("linear:factor=nan", "must be a number from 1 to 65536, not 'nan'")]
    [InlineData("linear:factor=inf", "must be a number from 1 to 65536, not 'inf'")]
    [InlineData("linear:factor=∞", "must be a number from 1 to 65536, not '∞'")]
    [InlineData("linear:factor=1e300", "must be a number from 1 to 65536, not '1e300'")]
    [InlineData("linear:factor=0.5", "must be a number from 1 to 65536, not '0.5'")]
    [InlineData("linear:factor=4=5", "not '4=5'")]
    [InlineData("linear:factor=4,factor=4", "linear is given the key factor twice")]
    [InlineData("rope+logn+logn", "the modifier logn is given twice")]
    [InlineData("rope@3", "'@3' names no method; write @LAYERS=SPEC")]
    [InlineData("rope@=nope", "layers '' must be numbers and slices start:stop:step of layers counted from 0, such as 5, 0:2 or 3::4")]
    [InlineData("rope@-1=nope", "layers '-1' must be")]
    [InlineData("rope@1:2:0=nope", "layers '1:2:0' must be")]
    [InlineData("rope@1:2:3:4=nope", "layers '1:2:3:4' must be")]
    [InlineData("rope@1,,2=nope", "layers '1,,2' must be")]
    [InlineData("rope@1=auto", "'@1=auto': auto is the method of a whole checkpoint, so it comes first")]
    [InlineData("rope@1=nop", "unknown method 'nop' (did you mean nope?)")]
    [InlineData("rope@1=nope:factor=2", "nope has no key 'factor'")]
    [InlineData("entropy-abf@1=nope", "entropy-abf is the whole spec abf:base=500000+logn:original=4096@0:2=abf:base=500000; write that to change it")]
    [InlineData("entropy_abf:base=1e6", "entropy-abf is the whole spec")]
    [InlineData("entropy-abf+resonance", "entropy-abf is the whole spec")]
    [InlineData("rope@1=entropy-abf", "unknown method 'entropy-abf'")]
    [InlineData("yarn:original=0", "yarn's original must be a whole number of tokens from 1 to 16777216, not '0'")]
    [InlineData("yarn:original=2.5", "not '2.5'")]
    [InlineData("yarn:truncate=yes", "yarn's truncate must be true or false, not 'yes'")]
    [InlineData("dynamic-yarn:relative_to=min", "must be one of original, max, not 'min'")]
    [InlineData("longrope:long=1/x", "not '1/x'")]
    [InlineData("p-rope:fraction=1.01", "p-rope's fraction must be a number from 0 to 1")]
    public void A_wrong_spec_is_one_line_that_names_the_fault_and_what_is_allowed(string spec, string part)
    {
        var problem = Assert.Throws<UserException>(() => PositionMethods.Parse(spec));
        Assert.Contains(part, problem.Message, StringComparison.Ordinal);
        Assert.Contains($"'{spec}'", problem.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', problem.Message);
    }

    [Theory]
    [InlineData("abf", "lacks the key base")]
    [InlineData("longrope:factor=4", "lacks the key long")]
    [InlineData("longrope:factor=4,long=1/2", "must have 8 factors")]
    [InlineData("longrope:factor=1,dynamic=true,long=1/1/1/1/1/1/1/1", "needs a factor above 1")]
    [InlineData("yarn:factor=4,beta_fast=1,beta_slow=32", "beta_fast (1) must be larger than beta_slow (32)")]
    [InlineData("llama3:factor=4,low_freq_factor=4,high_freq_factor=4", "high_freq_factor (4) must be larger than low_freq_factor (4)")]
    [InlineData("dca:chunk=8,window=8", "window (8) must be smaller than chunk (8)")]
    [InlineData("string:shifted_offset=8,local_window=9", "local_window (9) must be at most shifted_offset (8)")]
    [InlineData("dpe", "lacks the key scale_factors")]
    [InlineData("dpe:scale_factors=1/2/3", "a number of factors that divides 8, the pairs of a head of dimension 16, not 3")]
    [InlineData("lampe:head=40,tail=24", "head (40) and tail (24) must be less than original (64) together")]
    [InlineData("rope+bca:window=33", "the window must be even")]
    [InlineData("alibi+resonance", "resonance works on methods that only change frequencies")]
    [InlineData("permute:permutation=false,decay=false", "would leave attention without positions")]
    [InlineData("permute:seed=1.5", "the seed must be a whole number")]
    [InlineData("auto", "needs a checkpoint")]
    public void Keys_that_contradict_each_other_or_the_model_are_one_line(string spec, string part)
    {
        var model = new PositionModel(16, 10_000, 64, 4, 2);
        var problem = Assert.Throws<UserException>(() => new PositionSetup(PositionMethods.Parse(spec), model).Method);
        Assert.Contains(part, problem.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', problem.Message);
    }

    [Theory]
    [InlineData("linear", 8192, "linear:factor=4")]
    [InlineData("linear", 2048, "linear:factor=1")]
    [InlineData("linear", 100, "linear:factor=1")]
    [InlineData("linear", null, "linear:factor=1")]
    [InlineData("linear:factor=2", 8192, "linear:factor=2")]
    [InlineData("yarn", 8192, "yarn:factor=4,original=2048")]
    [InlineData("yarn:original=4096", 8192, "yarn:factor=2,original=4096")]
    [InlineData("dynamic-ntk", 8192, "dynamic-ntk:original=2048")]
    [InlineData("rerope+logn", 8192, "rerope:window=256+logn:original=2048")]
    [InlineData("leaky-rerope", 8192, "leaky-rerope:window=256,factor=4.428571428571429")]
    [InlineData("self-extend", 8192, "self-extend:group=5,window=512")]
    [InlineData("string", 8192, "string:shifted_offset=2703,local_window=128")]
    [InlineData("string:shifted_offset=100", 8192, "string:shifted_offset=100,local_window=50")]
    [InlineData("dpe:scale_factors=2/4", 8192, "dpe:scale_factors=2/4,local_window=512")]
    [InlineData("lampe", 8192, "lampe:original=2048,head=128,tail=51,max_mapping_length=1536,a=0.00041972389308377294")]
    [InlineData("grouped", 8193, "grouped:group=5")]
    [InlineData("recurrent", 8192, "recurrent:original=2048")]
    [InlineData("hope", 8192, "hope:original=2048")]
    [InlineData("dca", 8192, "dca:chunk=1536,window=256,max=2048")]
    [InlineData("xpos+bca", 8192, "xpos+bca:window=2048")]
    [InlineData("giraffe-truncated", 8192, "giraffe-truncated:cutoff=2048")]
    public void Missing_values_come_from_the_model_and_the_target(string spec, int? target, string resolved)
    {
        var model = new PositionModel(64, 10_000, 2048, 4, 2);
        Assert.Equal(resolved, new PositionSetup(PositionMethods.Parse(spec), model, target).Spec.ToString());
    }

    [Fact]
    public void Any_allowed_values_survive_printing_and_parsing() =>
        Prop.ForAll(ValidSpecs().ToArbitrary(), text =>
        {
            var spec = PositionMethods.Parse(text);
            // Not rounded on the way either.
            var numbers = text.Split('+')[0].Split([':', ',']).Skip(1).Select(pair => pair.Split('='))
                .Where(pair => spec.Method.Entry.Key(pair[0]).Kind == SpecKeyKind.Number);
            return spec.Equals(PositionMethods.Parse(spec.ToString())) && numbers.All(pair => spec.Method.Number(pair[0]) == double.Parse(pair[1], CultureInfo.InvariantCulture));
        }).Check(Config.QuickThrowOnFailure.WithReplay(20261121, 1).WithMaxTest(500));

    [Fact]
    public void Any_allowed_values_give_a_method_with_finite_tables_or_one_clear_error() =>
        Prop.ForAll(ValidSpecs().ToArbitrary(), text =>
        {
            var model = new PositionModel(8, 10_000, 16, 4, 2);
            try
            {
                var bands = new PositionSetup(PositionMethods.Parse(text), model, 40).Method.Bands(TokenPositions.Sequential(40));
                return bands.SelectMany(band => new[] { band.Queries, band.Keys }).OfType<Rotation>()
                    .All(table => table.Cos.All(float.IsFinite) && table.Sin.All(float.IsFinite));
            }
            catch (UserException problem)
            {
                return problem.Message.Length > 0 && !problem.Message.Contains('\n');
            }
        }).Check(Config.QuickThrowOnFailure.WithReplay(20261121, 1).WithMaxTest(500));

    [Fact]
    public void Resonance_rounds_a_wavelength_of_less_than_half_a_token_up_to_one()
    {
        var spec = PositionMethods.Parse("longrope:factor=4,original=32,long=0.01/1/1/1,short=1/1/1/1+resonance");
        var method = (FrequencyMethod)new PositionSetup(spec, new PositionModel(8, 10_000, 16, 4, 2), 40).Method;
        Assert.Equal(2 * Math.PI, method.Frequencies(40).InverseFrequencies[0], 1e-12);
    }

    [Fact]
    public void Garbage_is_a_user_error_or_a_spec_and_never_anything_else()
    {
        var letters = Gen.Elements("yarn:factor=4,original=2k+resonance bca;-_.eE∞\0\n\"'/%{}".ToCharArray());
        var noise = Gen.ListOf(letters).Select(list => string.Concat(list));
        var damaged = from spec in ValidSpecs()
                      from at in Gen.Choose(0, spec.Length)
                      from insert in noise
                      select spec.Insert(at, insert);
        Prop.ForAll(Gen.OneOf(noise, damaged).ToArbitrary(), text =>
        {
            try
            {
                return PositionMethods.Parse(text).ToString().Length > 0;
            }
            catch (UserException)
            {
                return true;
            }
        }).Check(Config.QuickThrowOnFailure.WithReplay(20261121, 1).WithMaxTest(1000));
    }

    private static Gen<string> ValidSpecs() =>
        from method in Gen.Elements(PositionMethods.All.ToArray())
        from part in ValidPart(method)
        from modifiers in Gen.SubListOf(PositionMethods.Modifiers.ToArray())
        from parts in Gen.CollectToList(modifiers, ValidPart)
        select string.Join('+', parts.Prepend(part));

    private static Gen<string> ValidPart(SpecEntry entry) =>
        from keys in Gen.SubListOf(entry.Keys.ToArray())
        from values in Gen.CollectToList(keys, ValidValue)
        select values.Count == 0 ? entry.Name : $"{entry.Name}:{string.Join(',', values)}";

    private static Gen<string> ValidValue(SpecKey key)
    {
        // "a number from 1 to 65536": the ends come from the text that users read.
        var ends = key.Allowed.Split(' ').Where(word => double.TryParse(word, CultureInfo.InvariantCulture, out _)).Select(double.Parse).ToArray();
        var number = Gen.Choose(0, 1_000_000).Select(share => SpecKey.Text(Math.Clamp(ends[0] * Math.Pow(ends[^1] / Math.Max(ends[0], 1e-3), share / 1e6), ends[0], ends[^1])));
        return key.Kind switch
        {
            SpecKeyKind.Number => number.Select(value => key.Name == "seed" ? $"{key.Name}=7" : $"{key.Name}={value}"),
            // CLEX integrates max_factor / time_dt steps of as many units: 300 of all would take seconds.
            SpecKeyKind.Tokens => Gen.Choose((int)ends[0], key.Name == "param_factor" ? 4 : 300).Select(value => $"{key.Name}={value}"),
            SpecKeyKind.Flag => Gen.Elements("true", "false").Select(value => $"{key.Name}={value}"),
            SpecKeyKind.Numbers => Gen.ListOf(number, 4).Select(values => $"{key.Name}={string.Join('/', values)}"),
            _ => Gen.Elements(key.Allowed["one of ".Length..].Split(", ")).Select(value => $"{key.Name}={value}"),
        };
    }
}
